/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Targets, their turns and their jobs. */

#include "delivery/mail.h"

/* After a start, and after somebody was left out for want of room. */
#define WALK_SOON USEC_PER_SEC

static bool any_tracker_is_ready(const Mail *m) {
        const Directory *dir = m->delivery->directory;

        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if (directory_ready_session(dir, i))
                        return true;
        return false;
}

/* Targets */

/* Whose turn is next: so who has much to be left for him does not keep others waiting. NULL: there
 * is nobody, or no place for a job. */
static MailTarget *next_target(const Mail *m) {
        MailTarget *t, *tmp, *first = NULL;

        if (m->n_jobs >= MAIL_JOBS_MAX)
                return NULL;
        HASH_ITER (hh, m->targets, t, tmp)
                if (!t->job && t->due < (first ? first->due : USEC_INFINITY))
                        first = t;
        return first;
}

static void set_timer(Mail *m) {
        const MailTarget *t = m->started ? next_target(m) : NULL;

        loop_timer_set(
                m->timer, m->started ? MIN(m->walk, t ? t->due : USEC_INFINITY) : USEC_INFINITY);
}

void mail_drop_notice(MailTarget *t) {
        if (t->n_notices == 0)
                return;
        buffer_done(&t->notices[0]);
        t->n_notices--;
        memmove(&t->notices[0], &t->notices[1], t->n_notices * sizeof(t->notices[0]));
        t->notices[t->n_notices] = BUFFER_NULL;
        t->refused = 0;
}

static void drop_notices(MailTarget *t) {
        while (t->n_notices > 0)
                mail_drop_notice(t);
}

static void target_free(MailTarget *t) {
        drop_notices(t);
        HASH_DEL(t->mail->targets, t);
        free(t);
}

static MailTarget *target_find(const Mail *m, uint32_t number) {
        MailTarget *t;

        HASH_FIND(hh, m->targets, &number, sizeof(number), t);
        return t;
}

/* NULL: there is no room; the walk will find who it was. */
static MailTarget *target_get(Mail *m, const uint8_t *account, uint32_t number) {
        MailTarget *t = target_find(m, number);

        if (t)
                return t;
        t = HASH_COUNT(m->targets) < MAIL_TARGETS_MAX ? calloc(1, sizeof(*t)) : NULL;
        if (t) {
                *t = (MailTarget){.mail = m, .number = number, .due = USEC_INFINITY};
                memcpy(t->account, account, KEY_SIZE);
                HASH_ADD(hh, m->targets, number, sizeof(t->number), t);
        }
        if (t && TABLE_HAS(t))
                return t;
        free(t);
        m->left_out = true;
        m->missed |= number <= m->walked;
        return NULL;
}

/* A target that waits after a refusal goes on waiting, unless it has no time to wait for. */
static void target_by(MailTarget *t, usec_t wait) {
        if (t->wait == 0 || t->due == USEC_INFINITY)
                t->due = MIN(t->due, loop_now(t->mail->loop) + wait);
        set_timer(t->mail);
}

void mail_target_again(MailTarget *t) {
        t->wait = 0;
        t->due = loop_now(t->mail->loop);
        set_timer(t->mail);
}

void mail_target_later(MailTarget *t, usec_t wait) {
        Loop *l = t->mail->loop;

        t->wait = CLAMP(2 * t->wait, MAIL_RETRY_FIRST, MAIL_RETRY_LAST);
        wait = CLAMP(wait, t->wait, MAIL_RETRY_LAST);
        t->due = loop_now(l) + loop_jitter(l, wait);
        set_timer(t->mail);
}

/* What was said when the link came up, and could not be noted then, is said again. */
static int say_what_is_owed(MailTarget *t) {
        Delivery *d = t->mail->delivery;
        Peer *p = peer_find(d, t->account);

        if (!p || !p->up)
                return 0;
        mail_peer_reached(t->mail, p);
        return p->owes ? delivery_await_commit(d) : 0;
}

/* What there is to do first, one thing at a time. */
static int target_begin(MailTarget *t) {
        bool linked = delivery_has_link(t->mail->delivery, t->account);
        int r;

        r = linked ? say_what_is_owed(t) : mail_leave_receipt(t);
        if (r == 0 && t->withdraw)
                r = mail_withdraw(t);
        if (r == 0 && t->look && !linked)
                r = mail_look(t);
        if (r == 0 && !linked)
                r = mail_leave_message(t);
        if (linked)
                drop_notices(t); /* said over it, by whoever has something to say */
        while (r == 0 && t->n_notices > 0) {
                r = mail_seal_notice(t);
                if (r == 0)
                        mail_drop_notice(t);
        }
        return r;
}

static void target_step(MailTarget *t) {
        int r;

        if (!any_tracker_is_ready(t->mail)) {
                t->due = USEC_INFINITY; /* until one is */
                return;
        }
        r = target_begin(t);
        if (r < 0) {
                delivery_store_failed(t->mail->delivery, "Mail could not be sealed", r);
                mail_target_later(t, 0);
        } else if (r == 0 && t->owed)
                t->due = USEC_INFINITY; /* until the batch is kept */
        else if (r == 0)
                target_free(t);
}

/* The walk over all who may be concerned */

static void walk_by(Mail *m, usec_t wait) {
        m->walk = MIN(m->walk, loop_now(m->loop) + wait);
}

static int walk_next(Mail *m, DbTxn *txn, uint32_t after, uint32_t *ret) {
        uint32_t a = UINT32_MAX, b = UINT32_MAX;
        int r, s;

        r = outbox_next_recipient(txn, after, &a);
        s = mail_next_account(txn, after, &b);
        if (r < 0 || s < 0)
                return MIN(r, s);
        *ret = MIN(r > 0 ? a : UINT32_MAX, s > 0 ? b : UINT32_MAX);
        return *ret < UINT32_MAX;
}

/* Everybody with rows gets a turn, as far as there is room in memory; those for whom there was none
 * the next time. */
static int walk(Mail *m) {
        DbTxn *txn = store_write(m->store);
        uint32_t at = m->walked;
        int r;

        m->left_out = false;
        while ((r = walk_next(m, txn, at, &at)) > 0) {
                MailTarget *t;
                Contact c;

                r = contact_get_by_number(txn, at, &c);
                if (r < 0)
                        return r;
                t = r > 0 ? target_get(m, c.account, c.number) : NULL;
                if (m->left_out)
                        return 0;
                m->walked = at;
                if (!t)
                        continue;
                t->look = t->withdraw = true;
                t->sealed = t->withdrawn = t->asked = (OutboxPosition){};
                target_by(t, MAIL_HOLD);
        }
        if (r == 0) {
                m->walked = 0;
                m->left_out = m->missed;
                m->missed = false;
        }
        return r;
}

/* Whether or not its tracker has said that there is something. */
static void collect_all(Mail *m) {
        const Directory *dir = m->delivery->directory;

        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if (directory_ready_session(dir, i))
                        mail_collect(m, directory_ready_session(dir, i));
}

static void on_walk(Mail *m) {
        Loop *l = m->loop;

        m->walk = loop_now(l) + loop_jitter(l, MAIL_LOOK_INTERVAL);
        if (loop_now(l) >= m->collect) {
                m->collect = loop_now(l) + MAIL_LOOK_INTERVAL / 2;
                collect_all(m);
        }
        if (walk(m) < 0)
                walk_by(m, MAIL_RETRY_FIRST);
}

static void on_timer(void *userdata) {
        Mail *m = userdata;
        usec_t now = loop_now(m->loop);
        MailTarget *t;

        if (m->walk <= now)
                on_walk(m);
        while ((t = next_target(m)) && t->due <= now)
                target_step(t);
        if (m->left_out && HASH_COUNT(m->targets) < MAIL_TARGETS_MAX / 2)
                walk_by(m, WALK_SOON);
        set_timer(m);
}

/* Jobs */

MailJob *mail_job_new(MailTarget *t, MailJobKind kind) {
        MailJob *j = calloc(1, sizeof(*j));

        if (!j)
                return NULL;
        j->target = t;
        j->kind = kind;
        j->code = CODE_TRACKER_UNREACHABLE;
        t->job = j;
        t->mail->n_jobs++;
        return j;
}

static void job_free(MailJob *j) {
        Mail *m = j->target->mail;

        for (size_t i = 0; i < j->n_asks; i++)
                if (j->asks[i].open)
                        session_forget(j->asks[i].session, &j->asks[i]);
        if (m->stamping == j)
                m->stamping = NULL;
        j->target->job = NULL;
        m->n_jobs--;
        buffer_done(&j->envelope);
        buffer_done(&j->token);
        free(j);
}

void mail_job_end(MailJob *j) {
        Mail *m = j->target->mail;

        job_free(j);
        set_timer(m);
}

void mail_job_ask(MailJob *j, MailSendFn send) {
        const Directory *dir = j->target->mail->delivery->directory;

        for (size_t i = 0; i < directory_n_trackers(dir); i++) {
                Session *s = directory_ready_session(dir, i);
                MailAsk *a = &j->asks[j->n_asks];

                if (!s)
                        continue;
                *a = (MailAsk){.job = j, .session = s};
                memcpy(a->tracker, directory_tracker(dir, i)->key, KEY_SIZE);
                a->open = send(j, s, a) >= 0;
                j->n_asks++;
                j->n_open += a->open;
        }
}

bool mail_job_answered(MailAsk *a, Code code) {
        MailJob *j = a->job;

        a->open = false;
        a->done = code == CODE_OK;
        if (code != CODE_OK) {
                j->code = code;
                j->refused |= code != CODE_TRACKER_UNREACHABLE;
                j->retry_after = MAX(j->retry_after, session_retry_after(a->session));
        }
        return --j->n_open == 0;
}

/* From outside */

void mail_wake(Mail *m, const uint8_t *account, uint32_t number) {
        MailTarget *t = m->started ? target_get(m, account, number) : NULL;
        OutboxRow first;

        if (!t)
                return;
        /* What another device has handed over may be behind what is written here. */
        if (outbox_next(store_write(m->store), number, (OutboxPosition){}, &first) > 0 &&
                first.at.feed < t->sealed.feed)
                t->sealed = (OutboxPosition){};
        target_by(t, MAIL_HOLD);
}

void mail_take_back(Mail *m, const uint8_t *account, uint32_t number) {
        MailItem first;
        MailTarget *t = NULL;

        if (m->started &&
                mail_item_next(store_write(m->store), number, (OutboxPosition){}, &first) > 0)
                t = target_get(m, account, number);
        if (!t)
                return;
        t->withdraw = true;
        t->withdrawn = (OutboxPosition){};
        mail_target_again(t); /* also where something else was refused, which makes room for it */
}

static bool has_notice(const MailTarget *t, Bytes notice) {
        for (unsigned i = 0; i < t->n_notices; i++)
                if (buffer_size(&t->notices[i]) == notice.size &&
                        memcmp(buffer_data(&t->notices[i]), notice.data, notice.size) == 0)
                        return true;
        return false;
}

int mail_leave_notice(Mail *m, const Contact *c, Bytes notice) {
        MailTarget *t = m->started ? target_get(m, c->account, c->number) : NULL;
        int r;

        if (!t)
                return -ENOBUFS;
        if (has_notice(t, notice))
                return 0;
        if (t->n_notices >= MAIL_NOTICES_MAX)
                return -ENOBUFS;
        t->notices[t->n_notices] = BUFFER_NULL;
        r = buffer_append(&t->notices[t->n_notices], notice.data, notice.size);
        if (r < 0)
                return r;
        t->n_notices++;
        target_by(t, MAIL_HOLD);
        return 0;
}

int mail_owe_receipt(Mail *m, const Contact *c, uint32_t feed, ReceiptState state) {
        MailOwed o = {.account = c->number, .feed = feed, .state = state};
        MailTarget *t;
        int r;

        loop_random(m->loop, &o.mark, sizeof(o.mark));
        r = mail_owe(m->store, &o);
        if (r >= 0)
                r = delivery_await_commit(m->delivery);
        t = r >= 0 && m->started ? target_get(m, c->account, c->number) : NULL;
        if (t)
                m->owed = t->owed = true;
        return r;
}

typedef struct Reader {
        Mail *mail;
        const Contact *author;
} Reader;

static int owe_feed(void *userdata, DbTxn *txn, const Feed *f) {
        const Reader *r = userdata;
        Ranges read;
        int k;

        k = store_load_read(txn, f->number, &read);
        if (k < 0 || read.n == 0)
                return MIN(k, 0);
        return mail_owe_receipt(r->mail, r->author, f->number, RECEIPT_READ);
}

void mail_owe_read(Mail *m, const Contact *c) {
        DbTxn *txn = store_write(m->store);
        uint8_t hash[SHA256_SIZE];
        Reader reader = {.mail = m, .author = c};
        Conversation v;

        conversation_direct(sign_key_public(&m->delivery->self->account), c->account, hash);
        if (conversation_find(txn, hash, &v) > 0)
                (void)feed_each(txn, v.number, c->number, owe_feed, &reader);
}

void mail_owed_kept(Mail *m) {
        MailTarget *t, *tmp;

        if (!m->owed)
                return;
        m->owed = false;
        HASH_ITER (hh, m->targets, t, tmp)
                if (t->owed) {
                        t->owed = false;
                        target_by(t, 0);
                }
}

/* The link itself begins with what was read. */
void mail_peer_reached(Mail *m, Peer *p) {
        DbTxn *txn = store_write(m->store);
        MailOwed o = {.account = p->number};

        while (mail_owed_next(txn, &o, &o) > 0) {
                if (o.state == RECEIPT_DELIVERED)
                        inbox_owe_receipt(p, o.feed);
                if (mail_owed_remove(m->store, &o) < 0)
                        return;
        }
}

void mail_batch_failed(Mail *m) {
        mail_owed_kept(m); /* or not: then there is nothing to do for it */
        if (m->started)
                walk_by(m, MAIL_RETRY_FIRST);
        set_timer(m);
}

void mail_withdraw_again(Mail *m) {
        m->again = CLAMP(2 * m->again, 2 * MAIL_RETRY_FIRST, MAIL_RETRY_LAST);
        walk_by(m, m->again);
        set_timer(m);
}

void mail_tracker_ready(Mail *m, Session *s) {
        MailTarget *t, *tmp;

        if (!m->started)
                return;
        HASH_ITER (hh, m->targets, t, tmp)
                if (t->due == USEC_INFINITY)
                        t->due = loop_now(m->loop);
        m->missed |= m->walked > 0;
        walk_by(m, WALK_SOON);
        set_timer(m);
        mail_collect(m, s);
}

void mail_waiting(Mail *m, Session *s) {
        if (m->started)
                mail_collect(m, s);
}

void mail_get(const Mail *m, DeliveryMail *ret) {
        const Directory *dir = m->delivery->directory;
        _cleanup_(store_read_endp) DbTxn *txn = NULL;

        *ret = (DeliveryMail){.refused = m->refused, .unopened = m->unopened};
        if (store_read_begin(m->store, &txn) >= 0) {
                ret->envelopes = mail_count_items(txn);
                ret->owed = mail_count_owed(txn);
        }
        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                ret->trackers += directory_ready_session(dir, i) != NULL;
}

void mail_start(Mail *m) {
        m->started = true;
        m->walk = USEC_INFINITY; /* until a tracker is ready */
        m->collect = loop_now(m->loop) + MAIL_LOOK_INTERVAL / 2;
}

void mail_stop(Mail *m) {
        MailTarget *t, *tmp;

        m->started = false;
        mail_collect_stop(m);
        mail_senders_free(m);
        HASH_ITER (hh, m->targets, t, tmp) {
                if (t->job)
                        job_free(t->job);
                target_free(t);
        }
        if (m->slice)
                loop_defer_arm(m->slice, false);
        if (m->timer)
                loop_timer_set(m->timer, USEC_INFINITY);
}

int mail_new(Delivery *d, Mail **ret) {
        Mail *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        *m = (Mail){.delivery = d, .loop = d->loop, .store = d->store, .walk = USEC_INFINITY};
        r = loop_timer_new(d->loop, on_timer, m, &m->timer);
        if (r >= 0)
                r = loop_defer_new(d->loop, LOOP_DEFER_IDLE, mail_on_slice, m, &m->slice);
        if (r < 0) {
                mail_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

Mail *mail_free(Mail *m) {
        if (!m)
                return NULL;
        mail_stop(m);
        store_forget(m->store, m);
        loop_timer_free(m->timer);
        loop_defer_free(m->slice);
        free(m);
        return NULL;
}
