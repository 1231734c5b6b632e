/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A thread that does one job after the other, for work that cannot be done without waiting. It is
 * started by the first job, and takes no signals. All functions are for the thread of the loop.
 */

#include "util/loop.h"

typedef struct Worker Worker;

/* Up to MAX jobs wait for their turn. */
int worker_new(size_t max, Worker **ret);

/* Jobs that are done or wait are answered at once, cancelled. One that is running (name resolution
 * cannot be interrupted) ends on its own; its DONE is then called on the thread, cancelled. */
Worker *worker_free(Worker *w);

/* Readable when worker_serve() has something to do. It stays the worker's. */
int worker_fd(const Worker *w);

/* Calls DONE of all jobs that have been done. */
void worker_serve(Worker *w);

/* As loop_work_new() and loop_work_cancel(). -EBUSY: MAX wait already. */
int worker_add(Worker *w, Loop *loop, LoopWorkFn run, void *job, LoopWorkDoneFn done,
        void *userdata, LoopWork **ret);
void worker_cancel(LoopWork *work);
