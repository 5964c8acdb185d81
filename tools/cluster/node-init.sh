#!/bin/sh
# Process 1 of the node: runs in fresh mount, network and process namespaces, gives the node's programs places of their own for what
# they write whatever their flags say, and becomes `pause`. All of it ends with this process.
#   node-init.sh STATE NODE_DIR PAUSE
set -eu
state=$1 node_dir=$2 pause=$3

# The programs may lie under a folder that is covered below.
exec 8<"$state" 9<"$pause"
mount -t tmpfs -o mode=755 bankhouse /run
mkdir -p /run/netns /run/lock "$node_dir"
mount --bind /proc/self/fd/8 "$node_dir"
for place in /var/lib/kubelet /var/lib/cni /var/log/containers; do
  # Only where the host has the folder: none is made there for us.
  [ ! -d "$place" ] || mount -t tmpfs -o mode=755 bankhouse "$place"
done
# hostPath mounts of pods want a shared tree; it is shared with nobody but the pods.
mount --make-rshared /
ip link set lo up
exec /proc/self/fd/9 8<&-
