/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether envelopes still lie where they were left, and taking them back. */

#include "delivery/mail.h"

static bool item_has_tracker(const MailItem *m, const uint8_t *key) {
        for (size_t i = 0; i < m->n_trackers; i++)
                if (key_equal(m->trackers[i], key))
                        return true;
        return false;
}

static void item_drop_tracker(MailItem *m, const uint8_t *key) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_trackers; i++)
                if (!key_equal(m->trackers[i], key))
                        memmove(m->trackers[n++], m->trackers[i], KEY_SIZE);
        m->n_trackers = n;
}

static Withdraw withdrawal(const MailTarget *t, const MailItem *m) {
        Withdraw w;

        memcpy(w.account, t->account, KEY_SIZE);
        memcpy(w.id, m->id, SHA256_SIZE);
        memcpy(w.secret, m->secret, WITHDRAW_SECRET_SIZE);
        return w;
}

/* Asking */

/* Signed by the recipient, and about this item: it cannot be opened there any more. */
static bool rekey_is_about(const MailTarget *t, const MailItem *m, Bytes outer) {
        _cleanup_(freep) Rekey *k = malloc(sizeof(*k));

        if (!k || outer.size == 0 || rekey_decode(outer, k) < 0 ||
                !key_equal(k->account, t->account))
                return false;
        for (size_t i = 0; i < k->n_items; i++)
                if (memcmp(k->items[i], m->id, SHA256_SIZE) == 0)
                        return true;
        return false;
}

static void note_answer(MailJob *j, size_t ask, const MailStatusAnswer *answer) {
        for (size_t i = 0; i < j->n_looked; i++) {
                j->held[i][ask] = answer->items[i].state == MAIL_HELD;
                j->gone[i] |= answer->items[i].state == MAIL_GONE;
                j->rekeyed[i] |= rekey_is_about(j->target, &j->looked[i], answer->items[i].rekey);
        }
}

/* It is of no use to anybody. Without a word on what came of it: it ends by itself as well. */
static void drop_everywhere(MailJob *j, const MailItem *m) {
        const Directory *dir = j->target->mail->delivery->directory;
        Withdraw w = withdrawal(j->target, m);

        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if (directory_ready_session(dir, i))
                        (void)session_withdraw(directory_ready_session(dir, i), &w, NULL, NULL);
}

/* What all who answered have said of one envelope. */
static int item_settle(MailJob *j, size_t n) {
        MailTarget *t = j->target;
        Store *s = t->mail->store;
        MailItem *m = &j->looked[n];
        usec_t now = loop_realtime(t->mail->loop);
        size_t before = m->n_trackers;

        for (size_t i = 0; i < j->n_asks; i++) {
                const MailAsk *a = &j->asks[i];

                if (!a->done)
                        continue;
                if (!j->held[n][i])
                        item_drop_tracker(m, a->tracker);
                else if (!item_has_tracker(m, a->tracker) && m->n_trackers < MAIL_REPLICAS_MAX)
                        memcpy(m->trackers[m->n_trackers++], a->tracker, KEY_SIZE);
        }
        if (j->rekeyed[n])
                drop_everywhere(j, m);
        if (j->rekeyed[n] ||
                (m->n_trackers == 0 && (!j->gone[n] || now >= m->sealed + MAIL_GONE_WAIT))) {
                t->sealed = (OutboxPosition){}; /* it is to be sealed again */
                return mail_item_remove(s, m->recipient, m->at);
        }
        return m->n_trackers != before ? mail_item_put(s, m) : 0;
}

/* Nothing follows from no answer. */
static bool anybody_answered(const MailJob *j) {
        for (size_t i = 0; i < j->n_asks; i++)
                if (j->asks[i].done)
                        return true;
        return false;
}

static void on_status(void *userdata, Code code, const char *text, Frame *ok) {
        MailAsk *a = userdata;
        MailJob *j = a->job;
        MailTarget *t = j->target;
        MailStatusAnswer answer;
        int r = 0;

        if (code == CODE_OK &&
                (mail_status_answer_decode(ok, &answer) < 0 || answer.n_items != j->n_looked))
                code = CODE_INVALID_ARGS;
        if (code == CODE_OK)
                note_answer(j, (size_t)(a - j->asks), &answer);
        if (!mail_job_answered(a, code))
                return;
        for (size_t i = 0; i < j->n_looked && r >= 0 && anybody_answered(j); i++)
                r = item_settle(j, i);
        if (r >= 0)
                (void)delivery_await_commit(t->mail->delivery);
        mail_job_end(j);
        if (r >= 0)
                mail_target_again(t);
        else
                mail_target_later(t, 0);
}

static int send_status(MailJob *j, Session *s, MailAsk *a) {
        MailStatus m = {.n_ids = j->n_looked};

        memcpy(m.account, j->target->account, KEY_SIZE);
        for (size_t i = 0; i < j->n_looked; i++)
                memcpy(m.ids[i], j->looked[i].id, SHA256_SIZE);
        return session_mail_status(s, &m, on_status, a);
}

static int gather(MailJob *j, DbTxn *txn) {
        MailTarget *t = j->target;
        OutboxPosition at = t->asked;
        int r = 0;

        while (j->n_looked < MAIL_STATUS_MAX &&
                (r = mail_item_next(txn, t->number, at, &j->looked[j->n_looked])) > 0)
                at = j->looked[j->n_looked++].at;
        if (r >= 0)
                t->asked = at;
        return r < 0 ? r : j->n_looked > 0;
}

/* R: whether there is something to ask. */
static int job_send(MailJob *j, int r, MailSendFn send) {
        MailTarget *t = j->target;

        if (r > 0) {
                mail_job_ask(j, send);
                if (j->n_open > 0)
                        return 1;
                t->asked = t->withdrawn = (OutboxPosition){};
                mail_target_later(t, 0);
        }
        mail_job_end(j);
        return r;
}

int mail_look(MailTarget *t) {
        MailJob *j = mail_job_new(t, JOB_STATUS);
        int r;

        if (!j)
                return -ENOMEM;
        r = job_send(j, gather(j, store_write(t->mail->store)), send_status);
        if (r == 0)
                t->look = false;
        return r;
}

/* Taking back */

static void on_withdrawn(void *userdata, Code code, const char *text, Frame *ok) {
        MailAsk *a = userdata;
        MailJob *j = a->job;
        MailTarget *t = j->target;
        Store *s = t->mail->store;
        MailItem *m = &j->item;
        int r;

        if (!mail_job_answered(a, code))
                return;
        for (size_t i = 0; i < j->n_asks; i++)
                if (j->asks[i].done)
                        item_drop_tracker(m, j->asks[i].tracker);
        if (j->refused)
                mail_withdraw_again(t->mail);
        else
                t->mail->again = 0;
        /* Where a tracker is away the row stays, for as long as the envelope may lie there. */
        if (m->n_trackers == 0 || m->expires <= loop_realtime(t->mail->loop))
                r = mail_item_remove(s, m->recipient, m->at);
        else
                r = mail_item_put(s, m);
        mail_job_end(j);
        if (r >= 0)
                mail_target_again(t);
        else
                mail_target_later(t, 0);
}

static int send_withdraw(MailJob *j, Session *s, MailAsk *a) {
        Withdraw w = withdrawal(j->target, &j->item);

        return session_withdraw(s, &w, on_withdrawn, a);
}

/* The first envelope of a message that is to be sent no more. */
static int next_to_withdraw(MailTarget *t, DbTxn *txn, MailItem *ret) {
        OutboxRow row;
        int r, waits;

        while ((r = mail_item_next(txn, t->number, t->withdrawn, ret)) > 0) {
                waits = outbox_get(txn, t->number, ret->at, &row);
                if (waits < 0)
                        return waits;
                t->withdrawn = ret->at; /* from now on: somebody may begin anew meanwhile */
                if (waits == 0)
                        return 1;
        }
        return r;
}

int mail_withdraw(MailTarget *t) {
        MailItem item;
        MailJob *j;
        int r;

        r = next_to_withdraw(t, store_write(t->mail->store), &item);
        if (r == 0)
                t->withdraw = false;
        if (r <= 0)
                return r;
        j = mail_job_new(t, JOB_WITHDRAW);
        if (!j)
                return -ENOMEM;
        j->item = item;
        return job_send(j, 1, send_withdraw);
}
