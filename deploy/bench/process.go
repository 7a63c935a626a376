package main

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// cpuTime is the processor time a process has used, in user and system mode.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := processStat(pid)
	return time.Duration(stat.CPUTime() * float64(time.Second)), err
}

// residentBytes is the memory of a process that is in RAM.
func residentBytes(pid int) (int, error) {
	stat, err := processStat(pid)
	return stat.ResidentMemory(), err
}

func processStat(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	stat, err := p.Stat()
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return stat, nil
}

// machineTime is what the machine had of processor time since it began, in
// seconds, and how much of that its host gave to others while somebody here
// wanted it ("steal", proc_stat(5)).
type machineTime struct{ all, stolen float64 }

func readMachineTime() (machineTime, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return machineTime{}, fmt.Errorf("looking at the machine: %w", err)
	}
	stat, err := fs.Stat()
	if err != nil {
		return machineTime{}, fmt.Errorf("looking at the machine: %w", err)
	}
	t := stat.CPUTotal
	return machineTime{
		all:    t.User + t.Nice + t.System + t.Idle + t.Iowait + t.IRQ + t.SoftIRQ + t.Steal,
		stolen: t.Steal,
	}, nil
}

// stolenSince is the share of the machine's time that others got.
func (t machineTime) stolenSince(before machineTime) float64 {
	return (t.stolen - before.stolen) / max(1e-9, t.all-before.all)
}
