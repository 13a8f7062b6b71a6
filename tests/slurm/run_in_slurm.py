#!/usr/bin/python3
"""Starts a Slurm of one node on this machine, submits a script to it and waits for its jobs.

    run_in_slurm.py DIRECTORY SCRIPT

DIRECTORY is an empty one for everything that Slurm writes. Prints one line a job, "NAME STATE", and
exits with 0 when all completed, 1 when some did not, 77 when there is no Slurm or it does not start
here. Nothing of it is left running.
"""
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time

SKIPPED = 77
PATIENCE = 120  # seconds for all jobs


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def write_configuration(directory):
    control, daemon = free_ports(2)
    user = getpass.getuser()
    name = socket.gethostname().split(".")[0]
    path = os.path.join(directory, "slurm.conf")
    with open(path, "w") as file:
        file.write(f"""
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
SlurmctldPort={control}
SlurmdPort={daemon}
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={directory}/completed
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
MinJobAge=3600
NodeName={name} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
    os.mkdir(os.path.join(directory, "state"))
    os.mkdir(os.path.join(directory, "spool"))
    return path, name


class Slurm:
    def __init__(self, directory):
        self.directory = directory
        configuration, self.node = write_configuration(directory)
        self.environment = dict(os.environ, SLURM_CONF=configuration,
                                PATH=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        self.children = []

    def start(self, *command):
        log = open(os.path.join(self.directory, os.path.basename(command[0]) + ".log"), "w")
        self.children.append(subprocess.Popen(command, env=self.environment, stdout=log,
                                              stderr=subprocess.STDOUT, cwd=self.directory))

    def ask(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def stop(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def wait_until_idle(self):
        for _ in range(150):
            if any(child.poll() is not None for child in self.children):
                return False
            if "idle" in self.ask("sinfo", "-h", "-o", "%T").stdout:
                return True
            time.sleep(0.2)
        return False

    def jobs(self):
        """Name and state of each job, tasks of arrays one by one."""
        lines = self.ask("squeue", "-h", "-t", "all", "-r", "-o", "%j %T").stdout.split("\n")
        return [tuple(line.split()) for line in lines if line]


def main():
    directory, script = map(os.path.abspath, sys.argv[1:3])
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    for program in ("slurmctld", "slurmd", "sbatch", "squeue", "sinfo"):
        if shutil.which(program, path=path) is None:
            skip(f"there is no {program}")
    slurm = Slurm(directory)
    try:
        slurm.start("slurmctld", "-D")
        slurm.start("slurmd", "-D", "-N", slurm.node)
        if not slurm.wait_until_idle():
            skip("Slurm does not start here")
        submitted = slurm.ask("bash", script)
        if submitted.returncode != 0:
            print(f"the script failed: {submitted.stderr}")
            return 1
        print(submitted.stdout, end="")
        running = {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING"}
        for _ in range(PATIENCE * 4):
            jobs = slurm.jobs()
            if jobs and not any(state in running for _, state in jobs):
                break
            time.sleep(0.25)
        for name, state in sorted(jobs):
            print(name, state)
        return 0 if jobs and all(state == "COMPLETED" for _, state in jobs) else 1
    finally:
        slurm.stop()


if __name__ == "__main__":
    sys.exit(main())
