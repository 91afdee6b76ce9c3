#!/bin/busybox sh
# The first process of a guest: runs the job, writes what it made to the disk, as one tar, and ends.
/bin/busybox mkdir -p /proc /sys /dev /tmp /out /bin /sbin /usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
while read -r module; do insmod "/modules/$module"; done < /modules/list
cp /job/* /tmp
cd /tmp || exit
sh /tmp/job.sh 2>&1 | tee /out/job.log > /dev/console
tar -C /out -cf /dev/vda .
sync
poweroff -f
