"""What guests do: a task holds pages in the range, the range is asked for, the printed script records it."""

from __future__ import annotations

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
# The blocks of the DIMM: above the memory that the guest boots with, so beyond 4 GiB.
_MOVABLE = """
block=
for m in $B/memory[0-9]*; do
    n=${m##*memory}
    [ $n -ge 32 ] || continue
    [ "$(cat $m/state)" = offline ] || echo offline > $m/state
    echo online_movable > $m/state && [ -z "$block" ] && block=$n
done
"""


def offline(arguments: str = "", holder: str = "vmsplice 25 8") -> str:
    """The first movable block is offlined while a task holds pages in it, until a signal ends the offline."""
    return f"""{_HEAD}{_MOVABLE}
cat > work.sh <<END
./hold {holder} > held.txt &
sleep 2
(echo offline > $B/memory$block/state) & offline=\\$!
sleep 6
kill \\$offline
wait
END
sh record.sh -o capture {arguments.replace("BLOCK", "$block")} -- sh work.sh
echo "status $?"
{_TAIL}"""


def direct(arguments: str = "") -> str:
    """The same under O_DIRECT: the pages are held while a slow disk is read."""
    return offline(arguments, "direct 3 8 /dev/vdb")


def cma(arguments: str = "") -> str:
    """All of a CMA area is asked for while a task holds some of its pages."""
    return f"""{_HEAD}
cat > work.sh <<'END'
echo 3 > /proc/sys/vm/drop_caches
./hold vmsplice 20 256 > held.txt &
sleep 4
read -r pages < /sys/kernel/debug/cma/reserved/count
echo $pages > /sys/kernel/debug/cma/reserved/alloc
wait
END
sh record.sh -o capture {arguments} -- sh work.sh
echo "status $?"
{_TAIL}"""
