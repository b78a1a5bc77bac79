"""Training tasks, one file each. A module here holds `task`, an object that satisfies `anatomy.sweep.task.Task`;
a sweep loads it by the name of its file, `--tasks recall`, with other parameters as `recall:pairs=8`."""
