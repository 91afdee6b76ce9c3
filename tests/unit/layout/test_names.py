"""Devices, files and processes by name: what a snapshot lists, and what it does not show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import captures
from tracereplay.layout.build import layout_from_tables
from tracereplay.layout.names import Names
from tracereplay.model.file_words import named_device, named_file
from tracereplay.model.result import File
from tracereplay.parsers.snapshots.layout import read_layout_snapshot
from tracereplay.session import Session

VDB, FUSE, BDEV = 254 << 20 | 16, 24, 3
MOUNTINFO = """\
22 1 0:2 / / rw - rootfs rootfs rw
30 22 254:16 /sub /srv rw - ext4 /dev/vdb rw
31 22 254:16 / /mnt/wb rw,relatime shared:7 - ext4 /dev/vdb rw
32 22 0:24 / /mnt/fuse\\0400 rw,relatime - fuse labfuse rw,user_id=0
33 22 0:25 / /run rw - tmpfs run rw
"""
PARTITIONS = "major minor  #blocks  name\n\n 254        0     131072 vda\n 254       16     131072 vdb\n"
OPEN_FILES = """\
fe:10 12 /mnt/wb/table (deleted)
mnt:31 12 /mnt/wb/table
mnt:32 2 /mnt/fuse\\0400/data
mnt:99 5 /of/another/namespace
00:01 7 /memfd:guest-ram (deleted)
"""
PS = "PID TID COMMAND\n179 179 qemu-system-x86\n179 183 CPU 0/KVM\n200 200 postgres\n201 201 bash\n"
COMMANDS = (
    "179\t/usr/bin/qemu-system-x86_64 -name guest=web-3,debug-threads=on -m 4096\t0::/machine.slice/x.scope\n"
    "200\t/usr/lib/postgresql/16/bin/postgres -D /srv/db\t0::/system.slice/postgresql.service\n"
    "201\tbash\t0::/\n"
)


def names_of(folder: Path, **files: str) -> Names:
    for name, text in {"zoneinfo": "", **files}.items():
        (folder / name.replace("_txt", ".txt")).write_text(text)
    snapshot = read_layout_snapshot(folder)
    assert not [loss for loss in snapshot.losses if "zoneinfo" not in loss.detail]
    return layout_from_tables(snapshot.tables).names


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return names_of(
        tmp_path, mountinfo=MOUNTINFO, partitions=PARTITIONS, open_files_txt=OPEN_FILES, ps_txt=PS,
        commands_txt=COMMANDS,
    )  # fmt: skip


def test_a_file_has_its_path_else_its_mount(names: Names) -> None:
    said = [
        named_file(names.file(*number, None))
        for number in ((VDB, 12), (VDB, 13), (FUSE, 2), (FUSE, 3), (25, 9), (1, 7), (77, 1))
    ]
    assert said == [
        "/mnt/wb/table (ext4 on /dev/vdb)", "inode 13 of /dev/vdb (ext4, /mnt/wb)", "/mnt/fuse 0/data (fuse)",
        "inode 3 of fuse mount /mnt/fuse 0", "inode 9 of tmpfs mount /run", "/memfd:guest-ram (deleted)", None,
    ]  # fmt: skip


def test_a_block_device_is_known_by_the_list_of_block_devices(names: Names) -> None:
    assert names.is_block_device(BDEV, VDB)
    assert not names.is_block_device(BDEV, 8 << 20)  # no such device: an inode of another file system
    assert not names.is_block_device(FUSE, VDB)  # a mounted file system may have any inode numbers
    assert not names.is_block_device(BDEV, 12)
    file = names.file(BDEV, VDB, 7)
    assert file.block_dev == VDB
    assert named_device(VDB, file) == "254:16 (/dev/vdb, ext4, /mnt/wb)"
    assert named_file(file) == "block device 254:16 (/dev/vdb, ext4, /mnt/wb)"


def test_without_a_snapshot_numbers_stay() -> None:
    names = Names()
    assert names.file(FUSE, 2, 0) == File(dev=FUSE, ino=2, index=0)
    assert names.file(None, None, None) == File(dev=None, ino=None)
    assert names.is_block_device(BDEV, VDB)
    assert named_device(VDB, names.file(BDEV, VDB, 0)) == "254:16"
    assert names.part_of(179, "qemu-system-x86") is None


def test_a_task_belongs_to_its_machine_or_unit(names: Names) -> None:
    assert names.part_of(179, "qemu-system-x86") == "VM web-3"
    assert names.part_of(183, "CPU 0/KVM") == "thread of qemu-system-x86 179, VM web-3"
    assert names.part_of(200, "postgres") == "postgresql.service"
    assert names.part_of(201, "bash") is None


def test_another_task_that_has_the_number_later_is_not_named(names: Names) -> None:
    assert names.part_of(200, "nginx") is None
    assert names.part_of(200, None) is None


def test_names_from_the_end_of_a_recording_come_after_those_before_it(tmp_path: Path) -> None:
    late = tmp_path / "at_end"
    late.mkdir()
    (late / "mountinfo").write_text(MOUNTINFO)
    (late / "ps.txt").write_text("PID TID COMMAND\n200 200 another\n300 300 qemu-system-x86\n")
    (late / "commands.txt").write_text("200\tanother\t0::/\n300\tqemu-system-x86_64 -name db-1\t0::/\n")
    (late / "open_files.txt").write_text("mnt:31 12 /mnt/wb/renamed\nmnt:31 14 /mnt/wb/new\n")
    names = names_of(tmp_path, mountinfo=MOUNTINFO, ps_txt=PS, commands_txt=COMMANDS, open_files_txt=OPEN_FILES)
    assert names.part_of(300, "qemu-system-x86") == "VM db-1"
    assert names.part_of(200, "postgres") == "postgresql.service"
    assert (names.paths[VDB, 12], names.paths[VDB, 14]) == ("/mnt/wb/table", "/mnt/wb/new")
    layout = layout_from_tables(read_layout_snapshot(tmp_path).tables)
    assert 300 not in layout.comms  # what decides rests on the listing from before


@pytest.mark.parametrize(
    ("cgroup", "says"),
    [
        ("0::/machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d3.scope/libvirt/vcpu0", "VM web-3"),
        ("11:memory:/machine/qemu-2-db.libvirt-qemu 0::/", "VM db"),
        ("0::/system.slice/docker-3f2a1b4c5d6e7f80.scope", "container 3f2a1b4c5d6e"),
        ("12:pids:/docker/" + "ab" * 32 + " 0::/system.slice/containerd.service", "container abababababab"),
        ("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + "cd" * 32 + ".scope", "container cdcdcdcdcdcd"),
        ("0::/kubepods/besteffort/pod12/" + "ef" * 32, "container efefefefefef"),
        ("0::/machine.slice/libpod-" + "12" * 32 + ".scope/container", "container 121212121212"),
        ("0::/lxc.payload.builder/init.scope", "container builder"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/dbus.service", "dbus.service"),
        ("0::/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service", "serial-getty@ttyS0.service"),
        ("0::/uid_10012/pid_4711", "Android uid_10012"),
        ("0::/", None),
        ("", None),
    ],
)
def test_control_groups(cgroup: str, says: str | None) -> None:
    rows = [{"pid": 7, "cmdline": None, "cgroup": cgroup}]
    names = Names.of(processes=rows, tasks=[{"tid": 7, "pid": 7, "comm": "x"}])
    assert names.part_of(7, "x") == says


@pytest.mark.parametrize(
    ("cmdline", "says"),
    [
        ("/usr/bin/qemu-system-aarch64 -machine virt -name web-3 -m 1", "VM web-3"),
        ("/usr/bin/firecracker --id vm7 --api-sock /run/fc.sock", "VM vm7"),
        ("/usr/bin/server -name web-3", None),
    ],
)
def test_virtual_machines_by_their_command(cmdline: str, says: str | None) -> None:
    rows = [{"pid": 7, "cmdline": cmdline, "cgroup": None}]
    names = Names.of(processes=rows, tasks=[{"tid": 7, "pid": 7, "comm": "x"}])
    assert names.part_of(7, "x") == says


def test_odd_lines_are_a_loss_and_the_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "partitions").write_text(PARTITIONS + "254 99999999999999999999 1 x\nrubbish\n")
    (tmp_path / "commands.txt").write_text(COMMANDS + "no tabs\n99999999999999\ta\tb\n")
    (tmp_path / "open_files.txt").write_text("fe:10 12 /a\nzz:zz 1 /b\nmnt:1 1\nfe:10 9999999999999999999 /c\n")
    snapshot = read_layout_snapshot(tmp_path)
    assert {loss.detail.rpartition("/")[2]: loss.count for loss in snapshot.losses} == {
        "partitions: line 5 not understood": 2,
        "commands.txt: line 4 not understood": 2,
        "open_files.txt: line 2 not understood": 2,
    }
    assert snapshot.tables["open_files"].to_pylist() == [{"dev": VDB, "ino": 12, "path": "/a"}]


def test_a_capture_with_mountinfo_names_its_device_and_mount(tmp_path: Path) -> None:
    """The capture's own mounts lists /dev/vdb with ext4; 254:16 is that disk (truth.json)."""
    folder = captures.capture("cma_bufferhead")
    layout = tmp_path / "layout"
    shutil.copytree(folder / "layout_before", layout)
    (layout / "mountinfo").write_text(MOUNTINFO)
    result = Session([folder / "trace.dat"], layout=layout).blame()
    holders = {c.holder_name for a in result.attempts for c in a.culprits if c.cause == "buffer_head"}
    assert holders == {"file system metadata of 254:16 (/dev/vdb, ext4, /mnt/wb)"}
    plain = Session([folder / "trace.dat"], layout=folder / "layout_before").blame()
    assert {c.holder_name for a in plain.attempts for c in a.culprits if c.cause == "buffer_head"} == {
        "file system metadata of 254:16"
    }
    verdicts = [[(c.start_pfn, c.verdict) for c in a.culprits] for r in (result, plain) for a in r.attempts]
    assert verdicts[0] == verdicts[-1]
