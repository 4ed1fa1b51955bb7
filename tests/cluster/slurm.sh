#!/usr/bin/env bash
# Run `slurm.sh start` or `slurm.sh stop` as root: it starts or stops a real Slurm on this machine for tests/cluster, from Debian's
# packages. The two nodes are virtual, with eight CPUs and four GPUs each; the GPUs are dummy devices. Without accounting and cgroups,
# Slurm enforces time limits but not memory limits. All files are in one folder, by which the tests recognise that Slurm runs, except for
# two links in /etc/slurm.
set -euo pipefail
folder=/run/gest-slurm

configuration() {
    cat << EOF
ClusterName=gest
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmctldPort=16817
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
SlurmdSpoolDir=$folder/%n
StateSaveLocation=$folder/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
SlurmctldParameters=node_reg_mem_percent=1
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
NodeName=n[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=8 RealMemory=256000 Gres=gpu:h100:4
PartitionName=all Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10
EOF
}

start() {
    stop
    local packages="munge slurmctld slurmd slurm-client"
    if ! dpkg --status $packages > /dev/null 2>&1; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends install $packages > /dev/null
    fi
    # Snakemake's plugin removes SLURM_CONF from the environment of its jobs, so the configuration must be where Slurm looks by
    # default. The command fails if a real configuration is there.
    ln -s "$folder/slurm.conf" "$folder/gres.conf" /etc/slurm
    mkdir -m 755 "$folder" "$folder/state" "$folder/n1" "$folder/n2"
    configuration > "$folder/slurm.conf"
    for gpu in 0 1 2 3; do
        mknod "$folder/gpu$gpu" c 1 3
    done
    echo "Name=gpu Type=h100 File=$folder/gpu[0-3]" > "$folder/gres.conf"

    (umask 077 && head -c 128 /dev/urandom > "$folder/munge.key")
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --seed-file="$folder/munge.seed" --log-file="$folder/munged.log" 2> /dev/null
    slurmctld
    slurmd -N n1
    slurmd -N n2
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --states=idle --format=%D 2> /dev/null)" = 2 ] && return
        sleep 1
    done
    tail "$folder"/*.log >&2
    return 1
}

stop() {
    [ -d "$folder" ] || return 0
    # No state is kept, so an orderly shutdown is not needed.
    scancel --user=root --signal=KILL --full 2> /dev/null && sleep 2
    for file in "$folder"/*.pid; do
        pid=$(cat "$file")
        # After a reboot, the id may belong to another process.
        grep -qE '^(slurm|munge)' "/proc/$pid/comm" && kill -9 "$pid"
    done
    rm -r "$folder" /etc/slurm/slurm.conf /etc/slurm/gres.conf
}

"$1"
