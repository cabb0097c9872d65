"""Runs stages side by side, each by DVC itself; dvc.lock and the .gitignore files come out as from `dvc repro`.

repro.py is what the command does. plan.py asks DVC which stages there are and what each waits for, scheduler.py starts
each once that is there, guard.py and local_jobs.py run it on this machine. launcher_lock.py keeps a second launcher
away, serial_order.py puts what DVC wrote into the order of a serial run, kept_outs.py keeps what a killed stage would
spoil, console.py shows all of it. cluster/ runs stages on SLURM or Dask; resources.py is what a stage asks for.
"""
