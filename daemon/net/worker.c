/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/worker.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <utlist.h>

/* Begins with the loop, as LOOP_OF() expects. */
struct LoopWork {
        Loop *loop;
        LoopWorkFn run;
        void *job;
        LoopWorkDoneFn done;
        void *userdata;
        bool cancelled; /* the loop thread's own: the worker does not look at it */
        Worker *worker;
        bool waiting; /* in `todo`; under the lock */
        LoopWork *prev, *next;
};

/* Shared between loop and thread, freed by whoever lets go last. */
struct Worker {
        pthread_mutex_t lock;
        pthread_cond_t wake;
        pthread_t thread;
        bool started, abandoned, busy;
        LoopWork *todo, *finished;
        size_t n_todo, max; /* as many may wait */
        int event_fd;
};

static LoopWork *work_pop(LoopWork **list) {
        LoopWork *w = *list;

        if (w)
                DL_DELETE(*list, w);
        return w;
}

static void work_finish(LoopWork *w, bool cancelled) {
        w->done(w->job, cancelled ? NULL : w->userdata, cancelled);
        free(w);
}

/* Under the lock, these two. */
static void work_dequeue(Worker *w, LoopWork *work) {
        work->waiting = false;
        w->n_todo--;
        DL_DELETE(w->todo, work);
}

static void work_finished(Worker *w, LoopWork *work) {
        DL_APPEND(w->finished, work);
        if (eventfd_write(w->event_fd, 1) < 0)
                abort(); /* a counter that is read at each turn cannot overflow */
}

/* Nobody has it any more but who calls. */
static Worker *worker_destroy(Worker *w) {
        LoopWork *work;

        while ((work = work_pop(&w->todo)))
                work_finish(work, true);
        while ((work = work_pop(&w->finished)))
                work_finish(work, true);
        safe_close(w->event_fd);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        return mfree(w);
}

/* The thread */

static void work_until_abandoned(Worker *w) {
        LoopWork *work;

        while (!w->abandoned) {
                work = w->todo;
                if (!work) {
                        pthread_cond_wait(&w->wake, &w->lock);
                        continue;
                }
                work_dequeue(w, work);
                w->busy = true;
                pthread_mutex_unlock(&w->lock);
                work->run(work->job);
                pthread_mutex_lock(&w->lock);
                w->busy = false;
                work_finished(w, work);
        }
}

/* Nobody waits for a thread that was abandoned in the middle of a job. */
static void *worker_main(void *userdata) {
        Worker *w = userdata;
        bool detached;

        pthread_mutex_lock(&w->lock);
        work_until_abandoned(w);
        detached = !w->started;
        pthread_mutex_unlock(&w->lock);
        if (detached)
                worker_destroy(w);
        return NULL;
}

/* Signals are the main thread's: sd-event takes them from a signalfd. */
static int worker_start(Worker *w) {
        sigset_t all, before;
        int r;

        if (w->started)
                return 0;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&w->thread, NULL, worker_main, w);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        w->started = r == 0;
        return -r;
}

/* The loop */

int worker_new(size_t max, Worker **ret) {
        Worker *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->max = max;
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->wake, NULL);
        w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->event_fd < 0) {
                int r = -errno;

                worker_destroy(w);
                return r;
        }
        *ret = w;
        return 0;
}

Worker *worker_free(Worker *w) {
        bool started;

        if (!w)
                return NULL;
        pthread_mutex_lock(&w->lock);
        w->abandoned = true;
        started = w->started;
        if (w->busy) {
                pthread_detach(w->thread);
                w->started = false; /* the thread frees it all */
                pthread_mutex_unlock(&w->lock);
                return NULL;
        }
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        if (started)
                pthread_join(w->thread, NULL);
        return worker_destroy(w);
}

int worker_fd(const Worker *w) {
        return w->event_fd;
}

void worker_serve(Worker *w) {
        LoopWork *work, *finished;
        eventfd_t n;

        if (eventfd_read(w->event_fd, &n) < 0)
                return;
        pthread_mutex_lock(&w->lock);
        finished = TAKE_PTR(w->finished);
        pthread_mutex_unlock(&w->lock);
        while ((work = work_pop(&finished)))
                work_finish(work, work->cancelled);
}

static int worker_queue(Worker *w, LoopWork *work) {
        int r;

        if (w->n_todo >= w->max)
                return -EBUSY;
        r = worker_start(w);
        if (r < 0)
                return r;
        work->waiting = true;
        w->n_todo++;
        DL_APPEND(w->todo, work);
        pthread_cond_signal(&w->wake);
        return 0;
}

int worker_add(Worker *w, Loop *loop, LoopWorkFn run, void *job, LoopWorkDoneFn done,
        void *userdata, LoopWork **ret) {
        LoopWork *work = malloc(sizeof(*work));
        int r;

        if (!work)
                return -ENOMEM;
        *work = (LoopWork){.loop = loop,
                .worker = w,
                .run = run,
                .job = job,
                .done = done,
                .userdata = userdata};
        pthread_mutex_lock(&w->lock);
        r = worker_queue(w, work);
        pthread_mutex_unlock(&w->lock);
        if (r < 0) {
                free(work);
                return r;
        }
        *ret = work;
        return 0;
}

/* What has not begun makes room for those behind it at once. */
void worker_cancel(LoopWork *work) {
        Worker *w = work->worker;

        work->cancelled = true;
        pthread_mutex_lock(&w->lock);
        if (work->waiting) {
                work_dequeue(w, work);
                work_finished(w, work);
        }
        pthread_mutex_unlock(&w->lock);
}
