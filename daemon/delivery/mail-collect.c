/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fetching what was left for this account: page by page, each acknowledged after its commit. */

#include <utlist.h>

#include "delivery/mail.h"

/* After a batch that failed, or without room; doubled, since all is fetched again. */
#define COLLECT_AGAIN USEC_PER_MINUTE
#define COLLECT_AGAIN_LAST (16 * USEC_PER_MINUTE)

/* Where too much else is asked of the tracker just now. */
#define TELL_AGAIN USEC_PER_SEC

#define COLLECT_PAGE 32

struct MailCollector {
        Mail *mail;
        Session *session;
        bool again; /* more has come meanwhile */
        bool later; /* something could not be kept, of any page */
        bool confirming; /* nor before it is known whose name it is; `waits` for that */
        bool waits;
        bool untold; /* the page is here, and the tracker could not be asked to drop it */
        unsigned limit; /* items of a page; fewer where the way is too narrow */
        Buffer after; /* where the next page begins */
        uint8_t ids[COLLECT_MAX][SHA256_SIZE]; /* taken, of this page */
        size_t n_ids;
        Rekey rekey; /* for what could not be opened */
        unsigned unopened; /* from the first page on */
        LoopTimer *timer;
        usec_t wait; /* the last one for another try */
};

static void collector_free(MailCollector *c) {
        Mail *m = c->mail;

        for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++)
                if (m->collectors[i] == c)
                        m->collectors[i] = NULL;
        store_forget(m->store, c);
        loop_timer_free(c->timer);
        buffer_done(&c->after);
        free(c);
}

/* The session may have been ended while nothing was asked of it. */
static bool session_is_there(const MailCollector *c) {
        const Directory *dir = c->mail->delivery->directory;

        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if (directory_session(dir, i) == c->session)
                        return true;
        return false;
}

static void collect_page(MailCollector *c);

static bool is_collecting(const Mail *m) {
        for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++)
                if (m->collectors[i])
                        return true;
        return false;
}

/* Everybody's mailbox of this account is empty: what can be opened by old prekeys is here. */
static void note_complete(Mail *m) {
        const Directory *dir = m->delivery->directory;

        if (is_collecting(m))
                return;
        m->unopened = m->unopened_so_far;
        m->unopened_so_far = 0;
        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if (!directory_ready_session(dir, i))
                        return;
        mail_senders_free(m); /* whose mail has gone meanwhile */
        if (prekeys_collected(m->store, loop_realtime(m->loop)) < 0)
                log_debug("Old prekeys could not be looked through");
}

static void collect_end(MailCollector *c) {
        Mail *m = c->mail;

        if (c->again) {
                c->again = false;
                buffer_clear(&c->after);
                collect_page(c);
                return;
        }
        m->unopened_so_far = MAX(m->unopened_so_far, c->unopened); /* the others have copies */
        collector_free(c);
        note_complete(m);
}

static void collect_later(MailCollector *c) {
        Loop *l = c->mail->loop;

        c->later = c->again = c->confirming = c->waits = false;
        buffer_clear(&c->after);
        c->wait = CLAMP(2 * c->wait, COLLECT_AGAIN, COLLECT_AGAIN_LAST);
        loop_timer_set(c->timer, loop_now(l) + loop_jitter(l, c->wait));
}

static void page_again(MailCollector *c) {
        c->later = c->waits = c->confirming = false;
        buffer_clear(&c->after);
        collect_page(c);
}

void mail_senders_known(Mail *m) {
        for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++)
                if (m->collectors[i] && m->collectors[i]->waits)
                        loop_timer_set(m->collectors[i]->timer, loop_now(m->loop));
}

/* Until the answers are there, which may be so already. */
static void wait_for_names(MailCollector *c) {
        const MailSender *s;

        c->waits = true;
        DL_FOREACH (c->mail->senders, s)
                if (!s->answered)
                        return;
        mail_senders_known(c->mail);
}

/* What cannot be kept does not keep what is behind it. Once there is such, names that are asked
 * about wait for the next try as well: to begin anew for each of them would have no end. */
static void on_collected(void *userdata, Code code, const char *text, Frame *ok) {
        MailCollector *c = userdata;

        if (code == CODE_TRACKER_UNREACHABLE)
                collector_free(c); /* another begins when it is back */
        else if (code != CODE_OK)
                collect_later(c);
        else if (c->confirming && !c->later)
                wait_for_names(c);
        else if (buffer_size(&c->after) > 0)
                collect_page(c);
        else if (c->later)
                collect_later(c);
        else
                collect_end(c);
}

/* What could not be opened stays there, with a word for who sent it. */
static int make_rekey(MailCollector *c, Buffer *out) {
        Delivery *d = c->mail->delivery;
        PrekeyRow newest;
        int r;

        if (c->rekey.n_items == 0)
                return 0;
        r = prekey_newest(store_write(d->store), &newest);
        if (r <= 0)
                return r;
        memcpy(c->rekey.account, sign_key_public(&d->self->account), KEY_SIZE);
        c->rekey.prekey = (Prekey){.suite = newest.suite,
                .id = newest.id,
                .key = {.data = newest.public, .size = sizeof(newest.public)}};
        r = rekey_encode(out, &c->rekey, &d->self->account);
        explicit_bzero(&newest, sizeof(newest));
        return r;
}

static void page_done(MailCollector *c) {
        _cleanup_(buffer_done) Buffer rekey = BUFFER_NULL;
        Collected done = {.ids = {.data = c->ids[0], .size = c->n_ids * SHA256_SIZE}};
        Loop *l = c->mail->loop;
        int r;

        if (make_rekey(c, &rekey) < 0)
                c->later = true;
        done.rekey = buffer_bytes(&rekey);
        if (done.ids.size == 0 && done.rekey.size == 0) {
                on_collected(c, CODE_OK, "", NULL);
                return;
        }
        r = session_collected(c->session, &done, on_collected, c);
        c->untold = r == -EBUSY;
        if (c->untold)
                loop_timer_set(c->timer, loop_now(l) + loop_jitter(l, TELL_AGAIN));
        else if (r < 0)
                collect_later(c);
}

static void on_page_batch(void *userdata, int error) {
        MailCollector *c = userdata;

        if (!session_is_there(c))
                collector_free(c);
        else if (error < 0)
                collect_later(c);
        else
                page_done(c);
}

static void take_item(MailCollector *c, Bytes envelope) {
        uint8_t id[SHA256_SIZE];

        envelope_id(envelope, id);
        switch (mail_take(c->mail, envelope)) {
        case MAIL_TAKEN:
                memcpy(c->ids[c->n_ids++], id, SHA256_SIZE);
                break;
        case MAIL_UNOPENED:
                c->unopened++;
                if (c->rekey.n_items < REKEY_ITEMS_MAX)
                        memcpy(c->rekey.items[c->rekey.n_items++], id, SHA256_SIZE);
                break;
        case MAIL_LATER:
                c->later = true;
                break;
        case MAIL_CONFIRMING:
                c->confirming = true;
                break;
        }
}

static void on_page(void *userdata, Code code, const char *text, Frame *ok) {
        _cleanup_(freep) CollectAnswer *page = malloc(sizeof(*page));
        MailCollector *c = userdata;

        if (code == CODE_TRACKER_UNREACHABLE) {
                collector_free(c); /* another begins when it is back */
                return;
        }
        if (code == CODE_NOT_SUPPORTED) { /* it has no mailboxes */
                collect_end(c);
                return;
        }
        if (code == CODE_TIMEOUT) {
                c->limit = MAX(c->limit / 2, 1U);
                c->wait = 0;
        }
        if (!page || code != CODE_OK || collect_answer_decode(ok, page) < 0) {
                collect_later(c);
                return;
        }
        c->n_ids = c->rekey.n_items = 0;
        for (size_t i = 0; i < page->n_items; i++)
                take_item(c, page->items[i].envelope);
        buffer_clear(&c->after);
        if (buffer_append(&c->after, page->after.data, page->after.size) < 0 ||
                store_after_commit(c->mail->store, on_page_batch, c) < 0)
                collect_later(c);
}

static void collect_page(MailCollector *c) {
        Collect ask = {.after = buffer_bytes(&c->after), .limit = c->limit};

        loop_timer_set(c->timer, USEC_INFINITY);
        if (buffer_size(&c->after) == 0)
                c->unopened = 0;
        if (session_collect(c->session, &ask, on_page, c) < 0)
                collect_later(c);
}

static void on_timer(void *userdata) {
        MailCollector *c = userdata;

        if (!session_is_there(c) || session_state(c->session) != SESSION_CONNECTED)
                collector_free(c);
        else if (c->untold)
                page_done(c);
        else
                page_again(c);
}

static MailCollector *collector_new(Mail *m, Session *s) {
        MailCollector *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->mail = m;
        c->session = s;
        c->limit = COLLECT_PAGE;
        if (loop_timer_new(m->loop, on_timer, c, &c->timer) >= 0)
                for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++)
                        if (!m->collectors[i]) {
                                m->collectors[i] = c;
                                return c;
                        }
        loop_timer_free(c->timer);
        free(c);
        return NULL;
}

void mail_collect(Mail *m, Session *s) {
        MailCollector *c = NULL;

        for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++)
                if (m->collectors[i] && m->collectors[i]->session == s)
                        c = m->collectors[i];
        if (c) {
                c->again = true;
                return;
        }
        c = collector_new(m, s);
        if (c)
                collect_page(c);
}

void mail_collect_stop(Mail *m) {
        for (size_t i = 0; i < ELEMENTSOF(m->collectors); i++) {
                MailCollector *c = m->collectors[i];

                if (!c)
                        continue;
                if (session_is_there(c))
                        session_forget(c->session, c);
                collector_free(c);
        }
}
