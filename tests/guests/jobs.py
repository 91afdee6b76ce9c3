"""What guests do: a task holds pages in the range, the range is asked for, the printed script records it."""

from __future__ import annotations

from collections.abc import Sequence

_HEAD = """
mount -t debugfs debugfs /sys/kernel/debug
B=/sys/devices/system/memory
chmod +x hold
set -x
"""
_TAIL = """
mkdir t && mount -t tracefs t t
{ ls t/instances; cat t/kprobe_events; grep 'tracereplay' /proc/mounts; } > /out/left.txt
cp -r capture *.txt /out/
"""
# One block above the memory that the guest boots with, and no other: all that user tasks have in ZONE_MOVABLE is in it.
_MOVABLE = """
block=$first_block
echo online_movable > $B/memory$block/state
"""


def offline(holder: str = "vmsplice 25 8") -> str:
    """The movable block is offlined while a task holds pages in it, until a signal ends the offline."""
    return f"""{_HEAD}{_MOVABLE}
cat > work.sh <<END
./hold {holder} > held.txt &
sleep 2
(echo offline > $B/memory$block/state) & offline=\\$!
sleep 6
kill \\$offline
wait
END
sh record.sh -o capture -- sh work.sh
echo "status $?"
{_TAIL}"""


def flight() -> str:
    """A flight recorder runs while two offlines fail, each held up by another task; it is ended by SIGINT.

    /out/held-1.txt, /out/held-2.txt: the tasks.
    """
    return f"""{_HEAD}{_MOVABLE}
mkdir t && mount -t tracefs t t
sh record.sh -o capture --until-failure & recording=$!
awaits() {{ # the file of layout_before that is written last, then an event of failures is enabled
    for try in $(seq 300); do
        grep -q . capture/layout_before/commands.txt &&
            grep -q 1 t/instances/*_watch/events/*/mm_migrate_pages/enable && break
        sleep 1
    done
    sleep 2
}}
for number in 1 2; do
    awaits
    ./hold vmsplice 15 8 > held-$number.txt &
    sleep 2
    (echo offline > $B/memory$block/state) & offline=$!
    sleep 4
    kill $offline
    for try in $(seq 300); do
        grep -q "^dump-$number is complete" capture/record.log && grep -q "^released" held-$number.txt && break
        sleep 1
    done
done
kill -TERM $recording
wait $recording
echo "status $?"
umount t && rmdir t
{_TAIL}"""


def direct() -> str:
    """The same under O_DIRECT: the pages are held while a slow disk is read."""
    return offline("direct 3 8 /dev/vdb")


def cma() -> str:
    """All of a CMA area is allocated, three times, while a task holds some of its pages.

    More than once: a page of busybox itself that another task just then faults in is a blocker as well.
    """
    return f"""{_HEAD}
cat > work.sh <<'END'
echo 3 > /proc/sys/vm/drop_caches
./hold vmsplice 20 256 > held.txt &
sleep 4
read -r pages < /sys/kernel/debug/cma/reserved/count
for try in 1 2 3; do
    echo $pages > /sys/kernel/debug/cma/reserved/alloc
    sleep 1
done
wait
END
sh record.sh -o capture -- sh work.sh
echo "status $?"
{_TAIL}"""


def killed(moments: Sequence[int]) -> str:
    """Recordings are killed with SIGKILL after so many thousandths of the time that a whole one takes; then two record
    at once, to their ends.

    /out/before.txt and /out/after.txt: what recordings may leave or change, before the first and after the last.
    """
    return f"""{_HEAD}
mkdir t && mount -t tracefs t t
state() {{
    ls t/instances
    for file in kprobe_events tracing_on trace_clock set_event current_tracer; do
        echo $file; cat t/$file
    done
    # Of the global buffer: the size that it has once it is used, in whole pages or as set.
    size=$(sed 's/.*(expanded: \\(.*\\))/\\1/' t/buffer_size_kb); echo $((size / 8 * 8))
    cat /sys/kernel/debug/kprobes/list
    grep tracereplay /proc/mounts
    ls -d /tmp/tracereplay.* 2> /dev/null
}}
now() {{ sed 's/\\([0-9]*\\)[.]\\([0-9]*\\) .*/\\1\\2/' /proc/uptime; }} # in hundredths of a second
state > /out/before.txt
start=$(now)
sh record.sh -o whole --for 3
length=$(($(now) - start))
number=0
for moment in {" ".join(map(str, moments))}; do
    number=$((number + 1))
    rm -rf killed-$((number - 1))
    sh record.sh -o killed-$number --for 3 & recording=$!
    moment=$((length * moment / 1000))
    sleep $((moment / 100)).$(printf %02d $((moment % 100)))
    kill -9 $recording
    ls -d killed-$number killed-$number/* >> /out/reached.txt
    grep -c . t/kprobe_events >> /out/probes-left.txt
done
sh record.sh -o first & first=$!
for try in $(seq 300); do grep -q . first/layout_before/commands.txt && break; sleep 1; done
sh record.sh -o second --for 1
echo "second $?"
[ -d /proc/$first ] && echo "first records on"
kill -TERM $first
wait $first
echo "first $?"
state > /out/after.txt
cp -r first second /out/
"""


def locked_down() -> str:
    """Recording and checking where lockdown=confidentiality closes tracefs; /out/record.txt: the recording's answer."""
    return """
sh record.sh -o capture --for 1 2> /out/record.txt # known by the command line alone
echo "status $?"
mount -t securityfs securityfs /sys/kernel/security
cat /sys/kernel/security/lockdown
sh record.sh --check -o /out/check
grep tracereplay /proc/mounts
ls /tmp | grep '^tracereplay[.]'
"""


def check() -> str:
    """What this kernel has, copied for `tracereplay check`."""
    return f"{_HEAD}\nsh record.sh --check -o /out/check\n"
