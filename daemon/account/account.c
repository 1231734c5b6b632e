/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "account/password.h"

#include "crypto/hpke.h"
#include "store/prekey.h"
#include "store/presence-key.h"
#include "wire/mail.h"

/* Clocks that work differ by less. */
#define CLOCK_WRONG USEC_PER_HOUR

/* After a renewal that was not kept. */
#define RENEWAL_RETRY USEC_PER_MINUTE

/* After the start: as long as it takes to be at a tracker. */
#define RENEWAL_SETTLED USEC_PER_MINUTE

bool account_exists(const Account *a) {
        return (a->identity.claimed || a->identity.lan_only) && !a->gone;
}

bool account_is_active(const Account *a) {
        return account_exists(a) && a->identity.logged_in && !a->identity.replaced;
}

bool account_is_lan_only(const Account *a) {
        return a->identity.lan_only;
}

const char *account_tracker(const Account *a) {
        if (a->publishing)
                return a->publish_at;
        return a->identity.lan_only ? NULL : a->identity.tracker;
}

const LocalIdentity *account_local(const Account *a) {
        return &a->local;
}

const Identity *account_identity(const Account *a) {
        return &a->identity;
}

Bytes account_presence(const Account *a) {
        return buffer_bytes(&a->presence);
}

/* Prekeys */

/* In the batch of the record that names it, which nobody sees before it is on disk. */
static int make_prekey(Account *a, uint64_t last, PrekeyRow *ret) {
        usec_t now = loop_realtime(a->loop);
        uint8_t seed[HPKE_SEED_SIZE];

        *ret = (PrekeyRow){
                .id = MAX(last + 1, now / USEC_PER_MSEC), .suite = MAIL_SUITE_HPKE, .made = now};
        loop_random(a->loop, seed, sizeof(seed));
        hpke_key_derive(seed, ret->secret, ret->public);
        explicit_bzero(seed, sizeof(seed));
        return prekey_put(a->store, ret);
}

/* The one for a new record: a new one each time that it is renewed. */
static int find_prekey(Account *a, PrekeyRow *ret) {
        usec_t now = loop_realtime(a->loop);
        PrekeyRow last = {};
        int r;

        r = prekey_newest(store_write(a->store), &last);
        if (r < 0)
                return r;
        if (r == 0 || a->prekey_lost || last.superseded > 0 || now < last.made ||
                now - last.made >= PREKEY_ROTATION)
                r = make_prekey(a, last.id, ret);
        else
                *ret = last;
        explicit_bzero(&last, sizeof(last));
        return MIN(r, 0);
}

/* Certificate and record */

static int make_certificate(Account *a, usec_t now) {
        Identity *i = &a->identity;
        Certificate c = {.epoch = i->epoch, .issued = now, .expires = now + IDENTITY_LIFETIME};

        memcpy(c.account, sign_key_public(&i->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&i->device), KEY_SIZE);
        buffer_clear(&i->certificate);
        return certificate_encode(&c, &i->account, &i->device, &i->certificate);
}

/* A directory's clock may be behind this one by as much. */
#define SEQ_MARGIN (10 * USEC_PER_MINUTE)

/* What others take at NOW. */
static uint64_t most_seq(usec_t now) {
        return (now + RECORD_AHEAD_MAX - SEQ_MARGIN) / USEC_PER_MSEC;
}

/* max(last + 1, ms): a store that was restored never goes back behind what it published. What was
 * signed with a clock that was further ahead than others take they need not have; what they may
 * have of it is overtaken when its time has come. */
uint64_t account_next_seq(uint64_t highest, usec_t now) {
        return CLAMP(highest + 1, now / USEC_PER_MSEC, most_seq(now));
}

static bool was_ahead(const Account *a) {
        return a->seq < a->identity.record_seq;
}

/* The wall clock may step: looked at once a day, not trusted to be a week from now. */
void account_look_later(Account *a) {
        uint64_t highest = a->identity.record_seq, most = most_seq(loop_realtime(a->loop));
        usec_t wait = USEC_PER_DAY;

        if (was_ahead(a) && highest >= most)
                wait = MIN(wait, (highest - most + 1) * USEC_PER_MSEC);
        loop_timer_set(a->renewal, loop_now(a->loop) + wait);
}

static int make_record(Account *a, usec_t now) {
        Identity *i = &a->identity;
        Record rec = {.epoch = i->epoch,
                .seq = account_next_seq(i->record_seq, now),
                .issued = now,
                .expires = now + IDENTITY_LIFETIME,
                .suites = {MAIL_SUITE_HPKE},
                .n_suites = 1,
                .listed = a->privacy.listed,
                .presence = a->privacy.presence,
                .endpoints = a->privacy.endpoints};
        PrekeyRow prekey;
        int r;

        r = find_prekey(a, &prekey);
        if (r < 0)
                return r;
        rec.prekeys[0] = (Prekey){.suite = prekey.suite,
                .id = prekey.id,
                .key = {.data = prekey.public, .size = sizeof(prekey.public)}};
        rec.n_prekeys = 1;
        explicit_bzero(prekey.secret, sizeof(prekey.secret));
        memcpy(rec.account, sign_key_public(&i->account), KEY_SIZE);
        memcpy(rec.name, i->name, NAME_SIZE);
        rec.certificate = buffer_bytes(&i->certificate);
        buffer_clear(&i->record);
        r = record_encode(&rec, &i->account, &i->record);
        if (r < 0)
                return r;
        i->record_seq = MAX(i->record_seq, rec.seq);
        a->prekey_lost = false;
        return 0;
}

static void account_set_local(Account *a) {
        Record rec;

        a->local.certificate = buffer_bytes(&a->identity.certificate);
        a->local.record = buffer_bytes(&a->identity.record);
        a->certified = a->recorded = 0;
        a->seq = a->identity.record_seq;
        if (record_parse(a->local.record, &rec) >= 0 && rec.n_prekeys > 0) {
                a->certified = rec.device.issued;
                a->recorded = rec.issued;
                a->seq = rec.seq;
                a->stated = (AccountPrivacy){
                        .listed = rec.listed, .presence = rec.presence, .endpoints = rec.endpoints};
        }
}

static int renew(Account *a) {
        usec_t now = loop_realtime(a->loop);
        Identity *i = &a->identity;
        Buffer certificate = i->certificate, record = i->record;
        int r;

        i->certificate = i->record = BUFFER_NULL;
        r = make_certificate(a, now);
        if (r >= 0)
                r = make_record(a, now);
        if (r >= 0)
                r = store_save_identity(a->store, i);
        buffer_done(r < 0 ? &i->certificate : &certificate);
        buffer_done(r < 0 ? &i->record : &record);
        if (r < 0) {
                i->certificate = certificate;
                i->record = record;
        }
        account_set_local(a); /* its bytes are elsewhere now */
        account_look_later(a);
        return r;
}

static bool same_privacy(const AccountPrivacy *a, const AccountPrivacy *b) {
        return a->listed == b->listed && a->presence == b->presence && a->endpoints == b->endpoints;
}

/* What is of the future was made while the clock was wrong, and no tracker takes it for as long as
 * the clock was ahead; or the clock is wrong now, and trackers take what was made before. In case
 * that somebody has it, it is overtaken as soon as that can be. */
static bool account_is_due(const Account *a) {
        usec_t now = loop_realtime(a->loop);

        return now >= a->certified + IDENTITY_RENEWAL || a->prekey_lost ||
                !same_privacy(&a->privacy, &a->stated) ||
                (was_ahead(a) && a->identity.record_seq < most_seq(now)) ||
                (directory_is_refused(a->directory) &&
                        MAX(a->certified, a->recorded) > now + CLOCK_WRONG);
}

int account_load_again(Account *a) {
        Identity kept;
        int r;

        r = store_load_identity(a->store, &kept);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        identity_done(&a->identity);
        a->identity = kept;
        explicit_bzero(&kept, sizeof(kept));
        account_set_local(a);
        return account_load_replaced_by(a);
}

/* A record that is not on disk is shown to nobody: its prekey is needed to open mail. So it is the
 * one before again, which is still due to be renewed. */
static void renewal_failed(Account *a) {
        Identity kept, *i = &a->identity;

        if (store_load_identity(a->store, &kept) > 0) {
                buffer_done(&i->certificate);
                buffer_done(&i->record);
                i->certificate = kept.certificate;
                i->record = kept.record;
                kept.certificate = kept.record = BUFFER_NULL;
                identity_done(&kept);
                account_set_local(a);
        } else
                a->certified = 0;
        loop_timer_set(a->renewal, loop_now(a->loop) + RENEWAL_RETRY);
}

static void on_renewed(void *userdata, int error) {
        Account *a = userdata;

        if (error < 0)
                renewal_failed(a);
        else if (account_is_active(a))
                account_publish(a, &a->endpoints);
}

int account_renew(Account *a) {
        int r;

        r = renew(a);
        if (r >= 0)
                r = store_after_commit(a->store, on_renewed, a);
        if (r < 0)
                renewal_failed(a);
        return r;
}

/* Before it has been heard what others know of this device, a new record would hide that the store
 * is an old one. */
static bool can_wait(const Account *a) {
        usec_t now = loop_realtime(a->loop);

        return loop_now(a->loop) < a->renew_from && !a->prekey_lost &&
                same_privacy(&a->privacy, &a->stated) && a->certified <= now &&
                now - a->certified < IDENTITY_LIFETIME / 2;
}

void account_look_at_times(Account *a) {
        if (account_is_active(a) && account_is_due(a) && !can_wait(a))
                (void)account_renew(a);
}

static void on_renewal(void *userdata) {
        Account *a = userdata;

        account_look_later(a);
        if (a->anew_due)
                account_begin_epoch_again(a);
        else
                account_look_at_times(a);
}

void account_clock_changed(Account *a) {
        if (account_is_active(a))
                on_renewal(a);
}

void account_renew_prekey(Account *a) {
        a->prekey_lost = true;
        account_look_at_times(a);
}

void account_set_privacy(Account *a, const AccountPrivacy *p) {
        a->privacy = *p;
        if (a->started)
                account_look_at_times(a);
}

/* Presence */

/* max(last + 1, ms): nobody takes one that is older than what he has, and the clock may have gone
 * back since the last start. */
static int make_presence_key(Account *a, uint8_t ret[static BOX_KEY_SIZE]) {
        loop_random(a->loop, ret, BOX_KEY_SIZE);
        return store_set_presence_key(a->store, ret);
}

void account_derive_presence_key(const Account *a, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint8_t ret[static BOX_KEY_SIZE]) {
        static const char context[] = "p2pchat/1 own presence";
        uint8_t number[8];
        Bytes parts[] = {{.data = (const uint8_t *)context, .size = sizeof(context)},
                {.data = number, .size = sizeof(number)}, {.data = device, .size = KEY_SIZE}};
        Bytes key = {.data = sign_key_seed(&a->identity.account), .size = KEY_SIZE};

        for (int i = 0; i < 8; i++)
                number[i] = (uint8_t)(epoch >> (56 - 8 * i));
        hmac_sha256(key, parts, ELEMENTSOF(parts), ret);
}

/* The first one. On a device that has taken the account over, the one before is to find it, too,
 * which has not handed over its own yet. */
static int first_presence_key(Account *a, uint8_t ret[static BOX_KEY_SIZE]) {
        if (a->identity.epoch <= 1)
                return make_presence_key(a, ret);
        account_derive_presence_key(
                a, a->identity.epoch, sign_key_public(&a->identity.device), ret);
        return store_set_presence_key(a->store, ret);
}

/* Contacts have the key in any case, so that it can be needed at any time. Without a store or
 * memory nobody is told where this device is, rather than everybody. */
static void seal_endpoints(Account *a, PresenceRecord *p, Buffer *out) {
        uint8_t key[BOX_KEY_SIZE], nonce[BOX_NONCE_SIZE];
        int r;

        r = store_get_presence_key(store_write(a->store), key);
        if (r == 0)
                r = first_presence_key(a, key);
        if (a->privacy.endpoints != VISIBLE_ALL) {
                loop_random(a->loop, nonce, sizeof(nonce));
                if (r >= 0 && presence_seal(p, key, nonce, out) >= 0)
                        p->sealed = buffer_bytes(out);
                p->n_endpoints = 0;
        }
        explicit_bzero(key, sizeof(key));
}

static int make_presence(Account *a) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL;
        uint64_t last = store_presence_seq(a->store);
        PresenceRecord p = {.epoch = a->identity.epoch,
                .presence = PRESENCE_ONLINE,
                .n_endpoints = a->endpoints.n,
                .seq = MAX(last + 1, loop_realtime(a->loop) / USEC_PER_MSEC)};

        if (a->privacy.presence != VISIBLE_NOBODY) {
                p.presence = account_own_presence(a).presence;
                p.note = text_bytes(a->chosen.note);
        }
        memcpy(p.account, sign_key_public(&a->identity.account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&a->identity.device), KEY_SIZE);
        for (size_t i = 0; i < a->endpoints.n; i++)
                p.endpoints[i] = text_bytes(a->endpoints.text[i]);
        (void)store_set_presence_seq(a->store, p.seq); /* without it the clock has to do */
        buffer_clear(&a->presence);
        seal_endpoints(a, &p, &sealed);
        return presence_encode(&p, &a->identity.device, &a->presence);
}

void account_publish(Account *a, const Endpoints *endpoints) {
        if (endpoints != &a->endpoints)
                a->endpoints = *endpoints;
        a->published = true;
        a->presence_made = loop_now(a->loop);
        loop_timer_set(a->presence_timer, USEC_INFINITY);
        if (make_presence(a) < 0)
                buffer_clear(&a->presence);
        a->callbacks->published(a->userdata, buffer_bytes(&a->presence));
        directory_announce(a->directory, a->identity.claimed && a->identity.logged_in,
                buffer_bytes(&a->presence));
}

void account_presence_key_changed(Account *a) {
        account_publish_soon(a);
}

int account_change_presence_key(Account *a) {
        uint8_t key[BOX_KEY_SIZE];
        int r;

        r = make_presence_key(a, key);
        explicit_bzero(key, sizeof(key));
        if (r >= 0)
                account_publish_soon(a);
        return r;
}

const Endpoints *account_endpoints(const Account *a) {
        return &a->endpoints;
}

/* Start and end */

static int account_load(Account *a) {
        int r;

        r = store_load_identity(a->store, &a->identity);
        if (r != 0)
                return r < 0 ? r : 0;
        sign_key_generate(&a->identity.account);
        sign_key_generate(&a->identity.device);
        a->identity.epoch = 1;
        return store_save_identity(a->store, &a->identity);
}

int account_new(Store *store, Loop *loop, uint32_t heartbeat, const AccountCallbacks *callbacks,
        void *userdata, Account **ret) {
        Account *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Account){.store = store,
                .loop = loop,
                .callbacks = callbacks,
                .userdata = userdata,
                .privacy = {.listed = true},
                .renew_from = loop_now(loop) + RENEWAL_SETTLED,
                .chosen = {.presence = PRESENCE_ONLINE}};
        r = account_load(a);
        if (r >= 0)
                r = account_load_replaced_by(a);
        if (r >= 0) /* without it he is online */
                (void)store_get_chosen_presence(store_write(store), &a->chosen);
        if (r >= 0)
                r = loop_timer_new(loop, account_on_deadline, a, &a->deadline);
        if (r >= 0)
                r = loop_timer_new(loop, on_renewal, a, &a->renewal);
        if (r >= 0)
                r = loop_timer_new(loop, account_on_presence_timer, a, &a->presence_timer);
        if (r < 0) {
                account_free(a);
                return r;
        }
        a->password_least = PASSWORD_COST_DEFAULT;
        a->local = (LocalIdentity){.account = &a->identity.account,
                .device = &a->identity.device,
                .heartbeat = heartbeat};
        loop_random(loop, a->local.boot_nonce, BOOT_NONCE_SIZE);
        account_set_local(a);
        *ret = a;
        return 0;
}

Account *account_free(Account *a) {
        if (!a)
                return NULL;
        store_forget(a->store, a);
        loop_timer_free(a->deadline);
        loop_timer_free(a->renewal);
        loop_timer_free(a->presence_timer);
        identity_done(&a->identity);
        buffer_done(&a->replaced_by);
        buffer_done(&a->presence);
        password_try_free(a->password);
        password_wipe(a->old_password);
        password_wipe(a->new_password);
        explicit_bzero(&a->kept, sizeof(a->kept));
        buffer_done(&a->statement);
        free(a);
        return NULL;
}

void account_set_tls(Account *a, TlsIdentity *tls) {
        a->local.tls = tls;
}

void account_set_heartbeat(Account *a, uint32_t heartbeat) {
        a->local.heartbeat = heartbeat;
}

void account_set_password_least(Account *a, const PasswordCost *least) {
        a->password_least = *least;
}

void account_set_directory(Account *a, Directory *d) {
        if (!d)
                a->password = password_try_free(a->password);
        a->directory = d;
}

void account_start(Account *a) {
        a->started = true;
        a->callbacks->use_tracker(a->userdata, account_tracker(a));
        if (account_is_replaced(a)) {
                account_watch_successor(a);
                a->callbacks->replaced(a->userdata);
        }
        if (!account_is_active(a))
                return;
        account_look_later(a);
        if (can_wait(a))
                loop_timer_set(a->renewal, a->renew_from);
        else if (account_is_due(a) && (renew(a) < 0 || store_commit(a->store) < 0))
                renewal_failed(a);
        a->callbacks->active(a->userdata, true);
        account_send_anew(a);
}
