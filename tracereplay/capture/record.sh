#!/bin/sh
# Records what tracereplay explains failed CMA allocations and memory offlines with: a private tracing instance, kprobe
# events that tell who holds pages, and copies of the layout of memory before and after. For a POSIX shell with busybox,
# toybox or coreutils; as root. Made by `tracereplay record --print-script`, from the declarations of that version.
#
#   sh record.sh [-o DIR] [--for SECONDS | --until-failure | -- COMMAND [ARGUMENT]...]
#   sh record.sh --check [-o DIR]        copies what `tracereplay check DIR` reads: what this kernel can record and prove
#
# DIR is then read by `tracereplay blame DIR` on any machine. Ctrl-C ends the recording as well, and nothing is left
# over; after a kill -9 the next run removes what was left.

set -u
out=tracereplay-capture; how=interrupt; seconds=0
buffer_kb=@BUFFER_KB@; level=@LEVEL@; area=@AREA@; block=@BLOCK@; dumps=@DUMPS@; after_s=@AFTER_S@; stacks=@STACKS@

say() { printf 'tracereplay: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        -o) [ $# -gt 1 ] || fail "-o needs a folder"; out=$2; shift 2 ;;
        --for) [ $# -gt 1 ] || fail "--for needs seconds"; how=duration; seconds=$2; shift 2 ;;
        --until-failure) how=failure; shift ;;
        --check) how=check; shift ;;
        --) how="command"; shift; [ $# -gt 0 ] || fail "-- needs a command"; break ;;
        *) fail "unknown argument $1" ;;
    esac
done
case $seconds in ''|*[!0-9]*) fail "--for takes whole seconds" ;; esac
[ "$(id -u)" = 0 ] || fail "tracing needs root"
[ ! -e "$out" ] || fail "$out exists: name a new folder"

# ---------------------------------------------------------------- tracefs, and what an earlier run left there

key_of() { # PID: that number and the time it was started at, which no later process has
    read -r stat 2>/dev/null < "/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # one word for each field; the name, before `)`, may hold blanks
    set -- "$1" ${stat##*) }
    shift 20
    echo "${stat%% *}_$1"
}
runs() { [ "$(key_of "${1%%_*}")" = "$1" ]; }

key=$(key_of $$)
[ -n "$key" ] || fail "/proc/$$/stat cannot be read: is proc mounted?"
temporary=/tmp # Android has none
for place in "${TMPDIR:-/tmp}" /tmp /data/local/tmp "$PWD"; do
    if [ -d "$place" ] && [ -w "$place" ]; then temporary=$place; break; fi
done
no_tracing="CONFIG_FTRACE, and no lockdown=confidentiality (or policy of SELinux) against it, are needed"
T=
mounted=
for place in /sys/kernel/tracing /sys/kernel/debug/tracing; do
    [ -z "$T" ] && [ -e $place/instances ] && T=$place
done
# A locked-down kernel has an empty tracefs, and 6.12 oopses in its last unmount: then it is not mounted at all.
is_locked_down() {
    grep -q '\[confidentiality\]' /sys/kernel/security/lockdown 2>/dev/null && return
    grep -q -e '^lockdown=confidentiality' -e ' lockdown=confidentiality' /proc/cmdline 2>/dev/null
}

if [ -z "$T" ]; then
    mounted=$temporary/tracereplay.tracefs.$key
    mkdir -p "$mounted"
    if is_locked_down || ! mount -t tracefs nodev "$mounted" 2>/dev/null; then
        rmdir "$mounted"
        [ $how = check ] || fail "no tracefs: $no_tracing"
        mounted=; T=/nowhere
    fi
    T=${T:-$mounted}
fi
D=
mounted_debug=
[ -d /sys/kernel/debug/cma ] || [ -e /sys/kernel/debug/page_owner ] && D=/sys/kernel/debug
if [ -z "$D" ]; then
    mounted_debug=$temporary/tracereplay.debugfs.$key
    mkdir -p "$mounted_debug"
    if mount -t debugfs nodev "$mounted_debug" 2>/dev/null; then
        D=$mounted_debug
    else
        rmdir "$mounted_debug"; mounted_debug=
    fi
fi

forget_instance() { # NAME of an instance, whose events use its probes
    echo 0 > "$T/instances/$1/tracing_on"
    echo 0 > "$T/instances/$1/events/enable"
    tries=0
    until rmdir "$T/instances/$1" 2>/dev/null; do # a reader has it open: one that waits for a line gets one
        tries=$((tries + 1)); [ $tries -lt 10 ] || return 1
        echo 1 > "$T/instances/$1/tracing_on"
        echo "tracereplay: ended" > "$T/instances/$1/trace_marker"
        echo 0 > "$T/instances/$1/tracing_on"
        sleep 1
    done
}

clean_up_after() { # KEY of a recording
    for instance in tracereplay_"$1" tracereplay_"$1"_watch; do
        if [ -d "$T/instances/$instance" ]; then forget_instance "$instance" 2>/dev/null; fi
    done
    if [ -e "$T/kprobe_events" ]; then
        sed -n "s|^[pr][^:]*:\(tracereplay_$1/[^ ]*\) .*|-:\1|p" "$T/kprobe_events" | while read -r line; do
            echo "$line" >> "$T/kprobe_events"
        done
    fi
}

unmount() { # a process that a killed recording started may have it open still
    { umount "$1" || umount -l "$1"; } 2>/dev/null
    rmdir "$1"
}

ours() { # keys of all recordings that left or use something
    for place in "$T"/instances/tracereplay_*; do echo "$place"; done | sed -n 's/.*tracereplay_\([0-9]*_[0-9]*\).*/\1/p'
    [ ! -e "$T/kprobe_events" ] || sed -n 's|.*:tracereplay_\([0-9]*_[0-9]*\)/.*|\1|p' "$T/kprobe_events"
}

for other in $(ours | sort -u); do runs "$other" || clean_up_after "$other"; done
while read -r _ place _; do
    case $place in
        */tracereplay.*fs.[0-9]*_[0-9]*) runs "${place##*.}" || unmount "$place" ;;
    esac
done < /proc/mounts

# ---------------------------------------------------------------- what this kernel has

# Of the functions that are probed those that the kernel has; without dynamic ftrace its symbols tell.
functions() {
    if [ -e "$T/available_filter_functions" ]; then
        grep -E '^(@FUNCTIONS@)([[:space:]]|$)' "$T/available_filter_functions" | sed 's/[[:space:]].*//'
    else
        grep -E ' [tT] (@FUNCTIONS@)([[:space:]]|$)' /proc/kallsyms | sed 's/[^ ]* . \([^[:space:]]*\).*/\1/'
    fi 2>/dev/null | sort -u
}

copy() { if [ -r "$1" ]; then cat "$1" > "$2" 2>/dev/null || rm -f "$2"; fi; }

check() { # FOLDER: files at their own paths below it; of some only that they exist
    mkdir -p "$1/sys/kernel/debug"
    echo "$(uname -r) $(uname -m)" > "$1/kernel.txt"
    for file in @CHECK_FILES@ "/boot/config-$(uname -r)"; do
        mkdir -p "$1${file%/*}"
        copy "$file" "$1$file"
    done
    if [ -e "$T/instances" ]; then
        mkdir "$1/sys/kernel/tracing"
        copy "$T/available_events" "$1/sys/kernel/tracing/available_events"
        functions > "$1/sys/kernel/tracing/available_filter_functions"
        [ ! -e "$T/kprobe_events" ] || : > "$1/sys/kernel/tracing/kprobe_events"
    fi
    [ ! -e "$D/page_owner" ] || : > "$1/sys/kernel/debug/page_owner"
    for place in "$D"/cma/*; do [ ! -d "$place" ] || mkdir -p "$1/sys/kernel/debug/cma/${place##*/}"; done
    for place in /sys/devices/system/memory/memory[0-9]*; do [ ! -d "$place" ] || mkdir -p "$1$place"; done
}

group=tracereplay_$key
I=$T/instances/$group; W=$T/instances/${group}_watch
child=; streamer=
# shellcheck disable=SC2317,SC2329 # called by traps
end() {
    trap '' INT TERM HUP
    rm -f "$out/streaming"
    [ -z "$child" ] || kill "$child" 2>/dev/null
    clean_up_after "$key"
    for place in "$mounted_debug" "$mounted"; do [ -z "$place" ] || unmount "$place"; done
}
trap end EXIT
trap 'exit 130' INT TERM HUP

mkdir -p "$out" || fail "$out cannot be made"
out=$(cd "$out" && pwd)
if [ $how = check ]; then check "$out"; say "read it by: tracereplay check $out"; exit 0; fi
mkdir "$I" 2>/dev/null
[ -e "$I/tracing_on" ] || fail "no tracing instance $I: $no_tracing"
log=$out/record.log
note() { say "$*"; printf '%s\n' "$*" >> "$log"; }

# A ring's page is one of the machine: 4096 bytes, on arm64 also 16384 or 65536. busybox has no getconf.
page_bytes=$(sed -n 's/.*char data;[^0-9]*\([0-9]*\);[^0-9]*\([0-9]*\);.*/\1 + \2/p' "$I/events/header_page")
page_bytes=$((${page_bytes:-4096}))

# ---------------------------------------------------------------- the requested range, as page frames

low=; high=; pages=; size=
if [ -n "$area" ]; then
    [ -d "$D/cma/$area" ] || fail "no CMA area $area in $D/cma (CONFIG_CMA_DEBUGFS)"
    if [ -e "$D/cma/$area/base_pfn" ]; then read -r low < "$D/cma/$area/base_pfn"; else read -r low < "$D/cma/$area/ranges/0/base_pfn"; fi
    read -r pages < "$D/cma/$area/count"
    case $low.$pages in .*|*.) fail "$D/cma/$area does not say where the area is" ;; esac
    high=$((low + pages))
elif [ -n "$block" ]; then
    [ -d "/sys/devices/system/memory/memory$block" ] || fail "no memory block $block: the blocks are /sys/devices/system/memory/memory*"
    read -r size < /sys/devices/system/memory/block_size_bytes || fail "no memory blocks (CONFIG_MEMORY_HOTPLUG)"
    pages=$((0x${size%???} / (page_bytes / 4096))) # a size may be above 2^31
    low=$((block * pages)); high=$((low + pages))
fi

# ---------------------------------------------------------------- events and probes

# Only CPUs that are online get a buffer: a machine may have many more that are possible.
cpus=0; online=; source=
read -r online < /sys/devices/system/cpu/online
for range in $(echo "$online" | tr ',' ' '); do cpus=$((cpus + ${range#*-} - ${range%-*} + 1)); done # 0-3,6
[ $cpus -gt 0 ] || for place in "$I"/per_cpu/cpu[0-9]*; do cpus=$((cpus + 1)); done
# Up to 6.6 whether the global buffer has the size that it gets at first use is one mark for all: a size set here first
# would leave it at 7 KiB.
echo 0 > "$I/events/enable"
echo $((buffer_kb / cpus)) > "$I/buffer_size_kb"
clock=local
read -r source < /sys/devices/system/clocksource/clocksource0/current_clocksource
case $source in tsc|kvm-clock|arch_sys_counter) ;; *) clock=global ;; esac
echo $clock > "$I/trace_clock"

events="@EVENTS@"
[ "$level" -lt 1 ] || events="$events @CONSOLE_EVENTS@"
[ -z "$low" ] || [ "$level" -lt 2 ] || events="$events @REFERENCE_EVENTS@"
recorded=; missing=
for event in $events; do
    if ! echo 1 > "$I/events/$event/enable"; then missing="$missing $event"; continue; fi 2>/dev/null
    recorded="$recorded $event"
    case $event in
        @FILTERED_BY_PFN@) [ -z "$low" ] || echo "pfn >= $low && pfn < $high" > "$I/events/$event/filter" ;;
    esac
done
case " $recorded " in *" page_ref/"*) with_page_ref=1 ;; *) with_page_ref= ;; esac

# Lines with page pointers beside page frames: they tell where vmemmap begins, on any machine.
page_pointers() { # FILE
    mkdir "$W" || return
    if echo 0 > "$W/options/hash-ptr" && echo 1 > "$W/events/kmem/mm_page_alloc/enable"; then
        cat /proc/self/environ > /dev/null
        echo 0 > "$W/events/enable"
        sed -n 's/.*mm_page_alloc: \(page=[0-9a-f]* pfn=[0-9a-fx]*\) .*/\1/p' "$W/trace" | tail -n 512 > "$1"
    fi 2>/dev/null
    forget_instance "${W##*/}"
}

# By two of these lines: whether struct page is as large as the offsets below need it.
is_known_struct() { # FILE
    one=; two=
    [ ! -s "$1" ] || { read -r one; while read -r two; do [ "$one" = "$two" ] || break; done; } < "$1"
    [ -n "$one" ] && [ -n "$two" ] || return 0 # not known
    [ "$(base_of "$one")" = "$(base_of "$two")" ]
}

# POINTER + SIGN * PFN * size of struct page. In four parts of 16 bits: dash has no numbers above 2^63, mksh none above
# 2^31. Every part stays above -2^24, so that adding it makes divisions round down.
moved() { # POINTER PFN SIGN
    parts=${1#0x}; result=; carry=0
    step=$((@PAGE_STRUCT_BYTES@ * $3)); up=$(($2 / 65536)); low=$(($2 % 65536 * step)); up=$((up * step))
    for add in $low $up 0 0; do
        rest=${parts%????}; part=$((0x${parts#"$rest"} + add + carry)); parts=$rest
        carry=$(((part + 16777216) / 65536 - 256))
        result=$(printf '%04x' $((part - carry * 65536)))$result
    done
    echo "0x$result"
}
base_of() { # "page=POINTER pfn=PFN": where vmemmap begins
    digits=${1#page=}; moved "${digits%% *}" $((${1#*pfn=})) -1
}

probed=; refused=
kept=; by_caller= # filters: that a probe is enabled with; on the return address
define() { # NAME DEFINITION: false where the kernel refuses it
    echo "$2" >> "$T/kprobe_events" || return 1
    [ -z "$kept" ] || echo "$kept" > "$I/events/$group/$1/filter" || return 1
    echo 1 > "$I/events/$group/$1/enable" || return 1
    probed="$probed $1"
} 2>/dev/null
has() { [ ! -e "$out/functions" ] || grep -q "^$1\$" "$out/functions"; }
keep() { [ ! -e "$I/events/$group/$1" ] || echo "$2" > "$I/events/$group/$1/filter"; }

# Sets `kept` to a filter on the return address; by name (6.3 and later) where addresses are hidden.
calls_from() { # FUNCTION
    [ -n "$return_address" ] || return
    kept=$(awk -v name="$1" '$3 == name || index($3, name ".isra.") == 1 || index($3, name ".constprop.") == 1 {
        low = $1; getline; if ($1 != low) print "caller >= 0x" low " && caller < 0x" $1; exit }' /proc/kallsyms)
    by_caller=${kept:=caller.function == $1}
}

probe() { # NAME FUNCTION TYPE FETCHES [OTHER FETCHES, where the first are refused]...
    if ! has "$2"; then return; fi
    case " $probed " in *" $1 "*) return ;; esac
    event=$1; function=$2; type=$3; shift 3
    for fetches; do
        if define "$event" "$type:$group/$event $function $fetches"; then return; fi
    done
    refused="$refused $event($function)"
}

# shellcheck disable=SC2016 # $arg1 is the kernel's
if [ "$level" -ge 2 ] && [ -z "$with_page_ref" ]; then
    page_pointers "$out/page_pointers"
    if ! is_known_struct "$out/page_pointers"; then
        note "struct page has not @PAGE_STRUCT_BYTES@ bytes here: no probes are set; tracereplay record reads BTF instead"
    elif [ -e "$T/kprobe_events" ]; then
        functions > "$out/functions"
        [ -s "$out/functions" ] || rm -f "$out/functions" # not known: all are tried
        case $(uname -m) in @RETURN_ADDRESSES@ *) return_address= ;; esac
        case $(uname -r) in [1-5].*|6.[012].*) taking=@TAKING_OLD@ ;; *) taking=@TAKING_NEW@ ;; esac # FOLL_GET | FOLL_PIN
@PROBES@
@KEEPS@
        [ -n "$probed" ] || note "no probe could be set: who holds a page will not be known"
        [ -z "$refused" ] || note "the kernel refused probes:$refused"
    else
        note "no kprobe events (CONFIG_KPROBE_EVENTS) and no page_ref events of a range: who holds a page will not be known"
    fi
fi
[ -z "$missing" ] || note "this kernel has no:$missing"
note "records:$recorded; probes:$probed; ${buffer_kb} KiB in all, clock $clock"

filter_range() { # takes of pages outside the range are dropped in the kernel
    [ -n "$low" ] && [ -n "$probed" ] || return
    base=$(sed -n 's/.* vb=\(0x[0-9a-f]*\).*/\1/p' "$I/trace" | head -n 1)
    [ -n "$base" ] || [ ! -s "$out/page_pointers" ] || base=$(base_of "$(head -n 1 "$out/page_pointers")")
    [ ${#base} = 18 ] || return
    from=$(moved "$base" "$low" 1); below=$(moved "$base" "$high" 1)
    for event in @TAKES@; do
        for field in page folio; do # only the one that it has: a refused filter disables the one before
            grep -q " $field;" "$I/events/$group/$event/format" 2>/dev/null || continue
            keep "$event" "flags & $taking && $field >= $from && $field < $below"
        done
    done
@BY_CALLER@
}

# Stacks of what takes references, which name the call. A trigger runs for events that a filter drops: same condition.
record_stacks() {
    unstacked=
    for event in @TAKES@; do
        case " $probed " in *" $event "*) ;; *) continue ;; esac
        place=$I/events/$group/$event
        echo "stacktrace if $(cat "$place/filter")" > "$place/trigger" || unstacked=1
    done 2>/dev/null
    if [ -n "$unstacked" ]; then
        stacks=
        note "@NO_STACKS@"
    elif [ -n "$probed" ] && ! grep -q '^0*[1-9a-f]' /proc/kallsyms; then
        note "@NO_NAMES@"
    fi
    [ "$stacks" = all ] || return 0
    while read -r event condition; do
        case " $recorded " in
            *" $event "*) echo "stacktrace if $condition && pfn >= $low && pfn < $high" > "$I/events/$event/trigger" ;;
        esac
    done <<END
@TAKING@
END
}

note_costs() {
    costs=
    case "$recorded" in *" kmem/"*) costs="$costs; @COST_PAGES@" ;; esac
    case "$probed,$stacks" in ,*) ;; *,) costs="$costs; @COST_TAKES@" ;; *) costs="$costs; @COST_STACKS@" ;; esac
    [ -z "$with_page_ref" ] || costs="$costs; @COST_REFERENCES@"
    [ -z "$costs" ] || note "costs ${costs#; }"
}

# ---------------------------------------------------------------- copies

snapshot() { # FOLDER
    mkdir -p "$1/cma"
@SNAPSHOT@
    uname -a > "$1/uname"
    echo "$page_bytes" > "$1/page_size"
    for place in "$D"/cma/*; do
        [ -d "$place" ] || continue
        target=$1/cma/${place##*/}; mkdir -p "$target"
        for what in @CMA_FILES@; do copy "$place/$what" "$target/$what"; done
        for range in "$place"/ranges/*; do
            [ -d "$range" ] || continue
            mkdir -p "$target/ranges/${range##*/}"
            for what in @CMA_FILES@; do copy "$range/$what" "$target/ranges/${range##*/}/$what"; done
        done
    done
    rmdir "$1/cma" 2>/dev/null
    for place in /sys/devices/system/memory/memory[0-9]*; do
        [ -r "$place/state" ] || continue
        state=; zones=; node=
        read -r state < "$place/state"; read -r zones < "$place/valid_zones"
        for link in "$place"/node[0-9]*; do [ ! -e "$link" ] || node=" node=${link##*node}"; done
        echo "${place##*/} state=$state valid_zones=\"$zones\"$node"
    done > "$1/memory_blocks.txt" 2>/dev/null
    copy_names "$1"
}

copy_names() { # FOLDER: what names tasks, files and mounts
    mkdir -p "$1"
    copy @MOUNTS@ "$1/mountinfo"
    tasks > "$1/ps.txt" 2>/dev/null
    commands > "$1/commands.txt" 2>/dev/null
    open_files 2>/dev/null | sort -u | head -n @MOST_OPEN_FILES@ > "$1/open_files.txt"
}

# Files that tasks map or have open: device as maps prints it, or mount, then inode and path. A stat of the files would
# wait for their servers.
open_files() {
    cat /proc/[0-9]*/maps | sed -n 's|^[^ ]* [^ ]* [^ ]* \([^ ]*\) \([1-9][0-9]*\) *\(/.*\)$|\1 \2 \3|p'
    { ls -l /proc/[0-9]*/fd; grep -r -e '^mnt_id:' -e '^ino:' /proc/[0-9]*/fdinfo; } | awk '
        /^\/proc\/[0-9]+\/fd:$/ { place = substr($0, 1, length($0) - 1) "info/"; next }
        /^\/proc\/[0-9]+\/fdinfo\// {
            at = index($0, ":"); file = substr($0, 1, at - 1); split(substr($0, at + 1), word, /[: \t]+/)
            if (word[1] == "mnt_id") mount[file] = word[2]
            else if (file in path) print "mnt:" mount[file], word[2], path[file]
            next
        }
        index($0, " -> /") { at = index($0, " -> /"); n = split(substr($0, 1, at - 1), word, " "); path[place word[n]] = substr($0, at + 4) }'
}

page_words() { # FOLDER LABEL: kpageflags and kpagecount of the range, eight bytes a page
    [ -n "$low" ] || return 0
    at_once=512
    while [ $((low % at_once + high % at_once)) != 0 ]; do at_once=$((at_once / 2)); done
    for what in flags count; do
        name=kpage$what$2.$(printf '0x%x-0x%x' "$low" "$high").bin
        dd if=/proc/kpage$what bs=$((8 * at_once)) skip=$((low / at_once)) count=$(((high - low) / at_once)) of="$1/$name"
        [ -s "$1/$name" ] || rm -f "$1/$name"
    done 2>/dev/null
}

tasks() {
    echo 'PID TID COMMAND'
    for place in /proc/[0-9]*/task/[0-9]*; do
        pid=${place#/proc/}
        read -r comm < "$place/comm" && echo "${pid%%/*} ${place##*/} $comm"
    done
}

# Reads of an empty buffer wait (on 6.1 for ever, and then the instance stays): so many pages are read as there are at
# least, an event of this recording having 16 bytes or more. `bytes` of the statistics do not shrink up to 6.5.
count_unread() { # CPU's folder: sets `entries` and `pages`
    entries=0
    while read -r name value; do [ "$name" != entries: ] || entries=$value; done < "$1/stats"
    pages=$((entries / (page_bytes / 16)))
}

take() { # CPU's folder, FOLDER, pages
    dd if="$1/trace_pipe_raw" bs="$page_bytes" count="$3" >> "$2/per_cpu/${1##*/}/trace_pipe_raw" 2>/dev/null
}

# Pages that are full, as they come: a failing offline tries again all the time, and soon overwrites a ring.
take_full() { # FOLDER: of every CPU whose buffer is filled to an eighth or so; false where none is
    took=
    for place in "$I"/per_cpu/cpu[0-9]*; do
        count_unread "$place"
        [ $pages -gt $batch ] || continue
        take "$place" "$1" $((pages - 1))
        took=1
    done 2>/dev/null
    [ -n "$took" ]
}

has_room() { df -Pk "$out" 2>/dev/null | awk 'NR == 2 && $4 < 65536 { full = 1 } END { exit full }'; } # KiB

stream() { # FOLDER: while there is a file `streaming`; ends with this shell, however that ends
    while [ -e "$out/streaming" ] && [ -d "$I" ] && kill -0 $$ 2>/dev/null; do
        if ! take_full "$1"; then
            sleep 1
        elif ! has_room; then
            echo 0 > "$I/tracing_on"
            note "the disk is nearly full: the recording ends here"
            break
        fi
    done
    times > "$out/streaming" # in a pipeline it would be the times of another shell
    note "CPU of writing events while recording (user system, of the shell and of its commands): $(tr '\n' ' ' < "$out/streaming")"
    rm -f "$out/streaming"
}

start_streaming() { # FOLDER
    batch=$((buffer_kb * 32 / cpus / page_bytes)) # events of 64 bytes
    [ $batch -gt 0 ] || batch=1
    for place in "$I"/per_cpu/cpu[0-9]*; do mkdir -p "$1/per_cpu/${place##*/}"; done
    : > "$out/streaming"
    stream "$1" &
    streamer=$!
}

stop_streaming() {
    rm -f "$out/streaming"
    [ -z "$streamer" ] || wait "$streamer"
    streamer=
}

commands() { # of every process its number, command line and control groups; most are of the kernel and have no words
    for place in /proc/[0-9]*; do
        words=; groups=; line=
        read -r words < "$place/cmdline"
        [ -z "$words" ] || words=$(tr '\000\t\n' '   ' < "$place/cmdline")
        while read -r line; do groups="$groups$line "; done < "$place/cgroup"
        printf '%s\t%s\t%s\n' "${place##*/}" "$words" "$groups"
    done
}

drain() { # FOLDER: what is left in the buffers, after tracing was stopped
    for place in "$I"/per_cpu/cpu[0-9]*; do
        target=$1/per_cpu/${place##*/}; mkdir -p "$target"
        cat "$place/stats" > "$target/stats"
        before=0
        while count_unread "$place"; [ "$entries" -gt 0 ] && [ "$entries" != "$before" ]; do
            before=$entries
            take "$place" "$1" $((pages > 0 ? pages : 1))
        done
    done
}

# Takes a reference of its own (get_user_pages_remote): whether the probes fire, and where vmemmap begins.
touch_a_page() { cat /proc/self/environ > /dev/null; }

# An event on every CPU: it shows that the CPU was recorded until then, also where it had nothing to do.
mark_cpus() {
    for place in "$I"/per_cpu/cpu[0-9]*; do
        cpu=${place##*cpu}; mask=$((1 << cpu % 4))
        while [ "$cpu" -ge 4 ]; do mask=${mask}0; cpu=$((cpu - 4)); done
        # shellcheck disable=SC2016 # $0 and $( ) are the inner shell's
        taskset "$mask" sh -c 'echo "tracereplay: this CPU is recorded, realtime_s=$(date +%s)" > "$0"' \
            "$I/trace_marker" 2>/dev/null
    done
}

save() { # FOLDER: stop, copy, and what belongs to the copies
    touch_a_page; mark_cpus
    echo 0 > "$I/tracing_on"
    stop_streaming
    mkdir -p "$1/trace/events"
    drain "$1/trace"
    for what in header_page header_event; do copy "$I/events/$what" "$1/trace/events/$what"; done
    all="@BUILT_IN@ $recorded"
    for event in $probed; do all="$all $group/$event"; done
    # shellcheck disable=SC2086 # one word for each event
    (cd "$1/trace/events" && mkdir -p $all)
    for event in $all; do copy "$T/events/$event/format" "$1/trace/events/$event/format"; done
    for what in @TRACE_FILES@; do copy "$T/$what" "$1/trace/$what"; done
    copy "$I/trace_clock" "$1/trace/trace_clock"
    [ ! -s "$out/page_pointers" ] || copy "$out/page_pointers" "$1/trace/page_pointers"
    copy /proc/kallsyms "$1/trace/kallsyms"
    copy /proc/sys/kernel/random/boot_id "$1/trace/boot_id"
    uname -a > "$1/trace/uname"
    [ ! -e "$T/kprobe_events" ] || grep ":$group/" "$T/kprobe_events" > "$1/trace/kprobe_events"
    snapshot "$1/layout_after"; page_words "$1/layout_after" ""
    copy_names "$out/layout_before/@NAMES_AT_END@" # of tasks and files that came meanwhile
    dmesg > "$1/dmesg.txt" 2>/dev/null
    [ -s "$1/dmesg.txt" ] || rm -f "$1/dmesg.txt"
    if [ -z "$low" ]; then copy "$D/page_owner" "$1/page_owner.txt"; fi
    copy "$D/page_pinner/buffer" "$1/page_pinner.txt"
    grep -h -e '^entries' -e '^read events' -e '^overrun' -e '^dropped' "$1"/trace/per_cpu/*/stats | sed 's/^/    /' >> "$log"
    lost=$(sed -n -e 's/^overrun: *//p' -e 's/^dropped events: *//p' "$1"/trace/per_cpu/*/stats | awk '{n += $1} END {print n + 0}')
    [ "$lost" = 0 ] || note "$lost events were overwritten or lost: a larger buffer keeps more"
}

# ---------------------------------------------------------------- record

await() { # the child last started, or a signal, which may have come before
    child=$!
    if [ "$status" = 0 ]; then wait "$child"; else sleep 1; fi # just started, it may not take signals yet
    kill "$child" 2>/dev/null
    child=
}

ring() { awk '/^(entries|overrun):/ { n += $2 } /^overrun:/ { printf "%s ", n; n = 0 }' "$I"/per_cpu/cpu[0-9]*/stats; }

is_half_new() { # what `ring` said before: whether half of a CPU's ring was written since
    awk -v before="$1" -v half=$((buffer_kb * 512 / cpus)) 'BEGIN { split(before, was, " ") } FNR == 1 { at++ }
        /^entries:/ { entries = $2 } /^overrun:/ { written = entries + $2 - was[at] }
        /^bytes:/ && written * $2 > half * entries { new = 1 } END { exit !new }' "$I"/per_cpu/cpu[0-9]*/stats
}

# Some seconds more, which show how the attempt went on, but what came before the failure must stay in the ring.
linger() {
    before=$(ring); steps=5 # a second
    sleep 0.2 2>/dev/null || steps=1
    steps=$((steps * after_s)); step=1
    [ $steps = "$after_s" ] || step=0.2
    while [ $steps -gt 0 ] && ! is_half_new "$before"; do sleep $step; steps=$((steps - 1)); done
}

await_failure() { # into failure.txt: the event that says so
    mkdir "$W" || fail "no tracing instance: $W"
    signs=' '
    while read -r event filter; do
        case $signs in *" $event "*) continue ;; esac
        [ -e "$W/events/$event/enable" ] || continue
        echo "$filter" > "$W/events/$event/filter" && echo 1 > "$W/events/$event/enable" && signs="$signs$event "
    done 2>/dev/null <<END
@FAILURES@
$group/off_r ret != 0
END
    [ "$signs" != ' ' ] || fail "no event of this kernel tells a failure"
    say "recording until an attempt fails; Ctrl-C ends it"
    head -n 1 "$W/trace_pipe" > "$out/failure.txt" &
    await
    [ $status != 0 ] || linger # first: removing an instance takes time, in which the ring runs on
    forget_instance "${W##*/}"
}

[ "$how" = failure ] || page_words "$out" .before # a ring's first event comes long after this
echo 1 > "$I/tracing_on"
touch_a_page; mark_cpus
if [ -n "$probed" ]; then
    hits=$(grep -E " (getf|get|get1) " "$T/kprobe_profile" | awk '{n += $2} END {print n + 0}')
    [ "$hits" -gt 0 ] || note "probes on get_user_pages() did not fire for a reference of our own: takers will be missing"
fi
filter_range
[ -z "$stacks" ] || record_stacks
note_costs
[ "$how" = failure ] || start_streaming "$out/trace"
snapshot "$out/layout_before"
[ "$how" = failure ] || say "recording; Ctrl-C ends it"
status=0
trap 'status=130; [ -z "$child" ] || kill "$child" 2>/dev/null' INT TERM HUP
case $how in
    duration) sleep "$seconds" & await ;;
    command) "$@"; status=$? ;;
    failure)
        number=1
        while await_failure; [ $status = 0 ]; do
            note "failed: $(cat "$out/failure.txt")"
            [ "$dumps" != 1 ] || break
            save "$out/dump-$number"; note "dump-$number is complete"
            rm -rf "$out/dump-$((number - dumps))"
            number=$((number + 1))
            echo > "$I/trace"; echo 1 > "$I/tracing_on"; touch_a_page; mark_cpus
        done ;;
    *) while [ $status = 0 ]; do sleep 3600 & await; done ;;
esac
trap '' INT TERM HUP
if [ "$how" != failure ] || [ "$dumps" = 1 ] || [ $status != 0 ]; then save "$out"; fi
rm -f "$out/functions" "$out/page_pointers"
note "saved to $out"
[ "$how" = command ] || status=0
exit $status
