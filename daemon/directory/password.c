/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is asked of a tracker that keeps passwords, and whether its answers hold. */

#include "directory/private.h"

static bool is_at(const Directory *d, size_t i, const uint8_t *tracker) {
        const Session *s = d->trackers[i].session;

        return s && session_state(s) == SESSION_CONNECTED &&
                (!tracker || key_equal(d->trackers[i].address.key, tracker));
}

int directory_keeps_passwords(const Directory *d, size_t i) {
        const Session *s = d->trackers[i].session;

        if (is_at(d, i, NULL))
                return session_has_feature(s, FEATURE_ACCOUNTS) ? 0 : -EOPNOTSUPP;
        return s && session_is_trying(s) ? -EAGAIN : -ENOTCONN;
}

/* The session with TRACKER (NULL: with the first that will do): 0, with *RET, or an error. */
static int find_session(
        Directory *d, const uint8_t *tracker, Session **ret, const uint8_t **ret_key) {
        int r = -ENOTCONN;

        for (size_t i = 0; i < d->n; i++) {
                if (!is_at(d, i, tracker))
                        continue;
                *ret = d->trackers[i].session;
                *ret_key = d->trackers[i].address.key;
                if (session_has_feature(*ret, FEATURE_ACCOUNTS))
                        return 0;
                r = -EOPNOTSUPP;
        }
        return r;
}

/* A question to be sent over *RET_SESSION, and whose answer it is. */
static int query_at(
        Directory *d, const uint8_t *tracker, void *userdata, Session **ret_session, Query **ret) {
        const uint8_t *key;
        Query *q;
        int r;

        r = find_session(d, tracker, ret_session, &key);
        if (r < 0)
                return r;
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        memcpy(q->account, key, KEY_SIZE);
        *ret = q;
        return 0;
}

#define BAD_ANSWER "the tracker's answer does not hold"

static void on_oprf(void *userdata, Code code, const char *text, Frame *ok) {
        Query *q = userdata, copy = *q;
        OprfAnswer a = {};

        if (code == CODE_OK && oprf_answer_decode(ok, &a) < 0) {
                code = CODE_TRACKER_UNREACHABLE;
                text = BAD_ANSWER;
        }
        query_free(q);
        if (copy.oprf)
                copy.oprf(copy.userdata, code, text, code == CODE_OK ? copy.account : NULL,
                        code == CODE_OK ? &a : NULL);
}

int directory_oprf(Directory *d, const uint8_t *tracker, const OprfRequest *o, DirectoryOprfFn fn,
        void *userdata) {
        Session *s;
        Query *q;
        int r;

        r = query_at(d, tracker, userdata, &s, &q);
        if (r < 0)
                return r;
        q->oprf = fn;
        return query_sent(q, session_oprf(s, o, on_oprf, q));
}

/* A tracker that answers for another account than was asked for cannot know the login key of that
 * one; but what it says is looked at all the same. */
static int read_login(Frame *ok, LoginAnswer *a, AccountStatement *statement, Record *record) {
        int r;

        r = login_answer_decode(ok, a);
        if (r >= 0)
                r = account_statement_decode(a->statement, statement);
        if (r >= 0)
                r = record_decode(a->record, record);
        if (r >= 0 && (!statement->has_password || !key_equal(statement->account, record->account)))
                r = -EBADMSG;
        return r;
}

static void on_login(void *userdata, Code code, const char *text, Frame *ok) {
        Query *q = userdata, copy = *q;
        AccountStatement statement;
        DirectoryLogin l = {};
        LoginAnswer a;
        Record record;

        if (code != CODE_OK)
                l.retry_after = session_retry_after(copy.session);
        else if (read_login(ok, &a, &statement, &record) < 0) {
                code = CODE_TRACKER_UNREACHABLE;
                text = BAD_ANSWER;
        } else
                l = (DirectoryLogin){.statement = &statement,
                        .record = &record,
                        .statement_outer = a.statement,
                        .record_outer = a.record};
        query_free(q);
        if (copy.login)
                copy.login(copy.userdata, code, text, &l);
}

int directory_login(Directory *d, const uint8_t tracker[static KEY_SIZE], const SignKey *login,
        const OprfRequest *asked, DirectoryLoginFn fn, void *userdata) {
        Session *s;
        Query *q;
        int r;

        r = query_at(d, tracker, userdata, &s, &q);
        if (r < 0)
                return r;
        q->login = fn;
        q->session = s;
        return query_sent(q, session_login(s, login, asked, on_login, q));
}

static void on_set(void *userdata, Code code, const char *text, Frame *ok) {
        query_refuse(userdata, code, text); /* CODE_OK is an answer without content as well */
}

int directory_set_password(Directory *d, const uint8_t tracker[static KEY_SIZE], Bytes statement,
        DirectoryDoneFn fn, void *userdata) {
        Session *s;
        Query *q;
        int r;

        r = query_at(d, tracker, userdata, &s, &q);
        if (r < 0)
                return r;
        q->done = fn;
        return query_sent(q, session_set_password(s, statement, on_set, q));
}

bool directory_is_deleted(const Directory *d, const uint8_t *tracker) {
        bool deleted = false;

        for (size_t i = 0; i < d->n; i++) {
                const Session *s = d->trackers[i].session;

                if (!s || (tracker && !key_equal(d->trackers[i].address.key, tracker)))
                        continue;
                if (!session_is_deleted(s))
                        return false;
                deleted = true;
        }
        return deleted;
}

int directory_delete_account(
        Directory *d, const uint8_t *tracker, Bytes statement, DirectoryDoneFn fn, void *userdata) {
        Session *s;
        Query *q;
        int r;

        r = query_at(d, tracker, userdata, &s, &q);
        if (r == -ENOTCONN && directory_is_deleted(d, tracker))
                return -EALREADY;
        if (r < 0)
                return r;
        q->done = fn;
        return query_sent(q, session_set_password(s, statement, on_set, q));
}
