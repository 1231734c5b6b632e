/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Setting, changing and proving the password of an account, and trackers that are up to no good. */

#include "test.h"

#include "chat-lab.h"
#include "tracker-lab.h"
#include "wire/account.h"

#define FIRST "correct horse"
#define SECOND "battery staple"

typedef struct World {
        ChatLab lab;
        FakeTracker tracker;
        uint8_t key[OPRF_KEY_SIZE]; /* of the password that is set */
        PasswordCost cost; /* as the tracker says it */
        bool answered;
        Code code;
} World;

static void on_done(void *userdata, Code code, const char *text) {
        World *w = userdata;

        CHECK(!w->answered);
        CHECK_EQ(code != CODE_OK, text[0] != 0); /* a sentence, which is still there */
        w->answered = true;
        w->code = code;
}

static void world_new(World *w) {
        uint8_t random[OPRF_RANDOM_SIZE] = {1};
        EndpointKey address;

        *w = (World){.cost = PASSWORD_COST_MIN};
        oprf_key_generate(random, w->key);
        chat_lab_begin(&w->lab);
        tracker_new(&w->lab.sim, &w->tracker);
        chat_lab_start(&w->lab);
        address = tracker_address(&w->tracker);
        parts_set_trackers(w->lab.parts, &address, 1);
        account_set_password_least(w->lab.parts->account, &PASSWORD_COST_MIN);
}

static void world_free(World *w) {
        tracker_free(&w->tracker);
        chat_lab_free(&w->lab);
}

static void greet(World *w, bool keeps_passwords) {
        FakeTracker *k = &w->tracker;
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = 30};

        if (keeps_passwords)
                h.features[h.n_features++] = FEATURE_ACCOUNTS;
        tracker_await(k);
        far_take(&k->far, FRAME_HELLO);
        far_send_hello(&k->far, &h);
        far_sent(&k->far, hello_ok_encode(conn_output(k->far.conn), &(HelloOk){}));
}

static Frame await(World *w, FrameType type) {
        SIM_UNTIL(&w->lab.sim, far_has(&w->tracker.far, type));
        return far_take(&w->tracker.far, type);
}

static Account *account(const World *w) {
        return w->lab.parts->account;
}

static Code result(World *w) {
        SIM_UNTIL(&w->lab.sim, w->answered);
        w->answered = false;
        return w->code;
}

/* Alice's name is claimed; her password is next. */
static void begin(World *w) {
        account_register(account(w), "alice", FIRST, NULL, on_done, w);
        greet(w, true);
        tracker_ok(&w->tracker, await(w, FRAME_REGISTER).request);
}

static void answer_oprf_with(World *w, bool enrol, uint64_t key_id) {
        OprfAnswer a = {.key_id = key_id, .memory = w->cost.memory, .passes = w->cost.passes};
        Frame f = await(w, FRAME_OPRF);
        OprfRequest o;

        CHECK_OK(oprf_request_decode(&f, &o));
        CHECK(o.enrol == enrol && !o.name[0]);
        CHECK(key_equal(o.account, sign_key_public(account_local(account(w))->account)));
        CHECK_OK(oprf_evaluate(w->key, o.blinded, a.evaluated));
        far_sent(&w->tracker.far,
                oprf_answer_encode(conn_output(w->tracker.far.conn), f.request, &a));
}

static void answer_oprf(World *w, bool enrol) {
        answer_oprf_with(w, enrol, 7);
}

/* What PASSWORD gives, found without the account. */
static PasswordKeys keys_of(const World *w, const char *password) {
        uint8_t random[OPRF_RANDOM_SIZE] = {2}, blind[OPRF_KEY_SIZE];
        uint8_t blinded[OPRF_ELEMENT_SIZE], evaluated[OPRF_ELEMENT_SIZE], y[OPRF_OUTPUT_SIZE];
        PasswordKeys keys;

        CHECK_OK(oprf_blind(text_bytes(password), random, blind, blinded));
        CHECK_OK(oprf_evaluate(w->key, blinded, evaluated));
        CHECK_OK(oprf_finalize(text_bytes(password), blind, evaluated, y));
        CHECK_OK(password_stretch(y, &w->cost, &keys));
        return keys;
}

/* The statement opens the account with PASSWORD, and with nothing else. Returns its seq. */
static uint64_t take_statement(World *w, const char *password) {
        const LocalIdentity *self = account_local(account(w));
        PasswordKeys keys = keys_of(w, password), other = keys_of(w, "something else");
        Frame f = await(w, FRAME_ACCOUNT);
        AccountStatement s;
        AccountBackup b;
        Bytes outer;
        SignKey login;

        CHECK_OK(account_decode(&f, &outer));
        CHECK_OK(account_statement_decode(outer, &s));
        CHECK(key_equal(s.account, sign_key_public(self->account)));
        CHECK(s.has_password && s.key_id == 7 && s.memory == w->cost.memory);
        sign_key_from_seed(keys.login_seed, &login);
        CHECK(key_equal(s.login, sign_key_public(&login)));
        CHECK_EQ(account_backup_open(&s, other.backup, &b), -EBADMSG);
        CHECK_OK(account_backup_open(&s, keys.backup, &b));
        CHECK(key_equal(b.seed, sign_key_seed(self->account)));
        CHECK_STR(b.name, "alice");
        tracker_ok(&w->tracker, f.request);
        return s.seq;
}

static void take_login(World *w, const char *password, Code code) {
        PasswordKeys keys = keys_of(w, password);
        Frame f = await(w, FRAME_LOGIN);
        uint8_t signature[SIGNATURE_SIZE];

        CHECK_OK(login_decode(&f, signature));
        explicit_bzero(&keys, sizeof(keys));
        tracker_error(&w->tracker, f.request, code);
}

static bool has_password(const World *w) {
        ChatStatus s;

        chat_status(w->lab.chat, &s);
        return s.password;
}

TEST(a_password_restores_the_account_and_is_kept_by_nobody) {
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        take_statement(&w, FIRST);
        CHECK_EQ(result(&w), CODE_OK);
        CHECK(account_is_active(account(&w)) && has_password(&w));
        world_free(&w);
}

TEST(the_old_password_is_proven_before_another_is_set) {
        uint64_t first;
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        first = take_statement(&w, FIRST);
        CHECK_EQ(result(&w), CODE_OK);
        account_change_password(account(&w), "", SECOND, on_done, &w);
        CHECK_EQ(result(&w), CODE_BAD_PASSWORD);
        account_change_password(account(&w), FIRST, "short", on_done, &w);
        CHECK_EQ(result(&w), CODE_BAD_PASSWORD);
        account_change_password(account(&w), SECOND, SECOND, on_done, &w);
        answer_oprf(&w, false);
        take_login(&w, SECOND, CODE_BAD_PASSWORD);
        CHECK_EQ(result(&w), CODE_BAD_PASSWORD);
        CHECK(!far_has(&w.tracker.far, FRAME_ACCOUNT) && !far_has(&w.tracker.far, FRAME_OPRF));
        account_change_password(account(&w), FIRST, SECOND, on_done, &w);
        answer_oprf(&w, false);
        take_login(&w, FIRST, CODE_RATE_LIMITED);
        CHECK_EQ(result(&w), CODE_RATE_LIMITED);
        CHECK(account_is_active(account(&w)) && first > 0);
        world_free(&w);
}

TEST(a_tracker_that_wants_passwords_to_be_easy_to_guess) {
        World w;

        world_new(&w);
        account_set_password_least(account(&w), &PASSWORD_COST_DEFAULT);
        begin(&w);
        w.cost = PASSWORD_COST_DEFAULT;
        w.cost.memory--;
        answer_oprf(&w, true);
        CHECK_EQ(result(&w), CODE_NOT_ALLOWED);
        CHECK(!far_has(&w.tracker.far, FRAME_ACCOUNT) && !account_exists(account(&w)));
        world_free(&w);
}

TEST(a_tracker_that_wants_too_much_work) {
        World w;

        world_new(&w);
        begin(&w);
        w.cost = PASSWORD_COST_MAX;
        w.cost.passes++;
        answer_oprf(&w, true);
        CHECK_EQ(result(&w), CODE_NOT_ALLOWED);
        CHECK(!account_exists(account(&w)));
        world_free(&w);
}

TEST(an_answer_that_is_no_element) {
        OprfAnswer a = {.key_id = 1, .memory = 8, .passes = 1};
        Frame f;
        World w;

        world_new(&w);
        begin(&w);
        f = await(&w, FRAME_OPRF);
        memset(a.evaluated, 0xff, sizeof(a.evaluated));
        far_sent(
                &w.tracker.far, oprf_answer_encode(conn_output(w.tracker.far.conn), f.request, &a));
        CHECK_EQ(result(&w), CODE_TRACKER_UNREACHABLE);
        CHECK(!account_exists(account(&w)));
        world_free(&w);
}

TEST(a_tracker_that_keeps_no_passwords) {
        World w;

        world_new(&w);
        account_register(account(&w), "alice", FIRST, NULL, on_done, &w);
        greet(&w, false);
        tracker_ok(&w.tracker, await(&w, FRAME_REGISTER).request);
        CHECK_EQ(result(&w), CODE_NOT_SUPPORTED);
        CHECK(!account_exists(account(&w)));
        world_free(&w);
}

TEST(a_tracker_that_goes_silent_and_then_answers_what_nobody_waits_for) {
        uint64_t late;
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        late = await(&w, FRAME_ACCOUNT).request;
        CHECK(result(&w) != CODE_OK);
        CHECK(!account_exists(account(&w)) && !has_password(&w));
        if (w.tracker.far.conn)
                tracker_ok(&w.tracker, late);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(!w.answered && !account_exists(account(&w)));
        /* The same again: the name is the account's already. */
        begin(&w);
        answer_oprf(&w, true);
        take_statement(&w, FIRST);
        CHECK_EQ(result(&w), CODE_OK);
        CHECK(has_password(&w));
        world_free(&w);
}

TEST(an_account_that_is_logged_out_needs_its_password) {
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        take_statement(&w, FIRST);
        CHECK_EQ(result(&w), CODE_OK);
        account_logout(account(&w), on_done, &w);
        CHECK_EQ(result(&w), CODE_OK);
        account_login(account(&w), "alice", "", NULL, on_done, &w);
        CHECK_EQ(result(&w), CODE_BAD_PASSWORD);
        account_login(account(&w), "alice", SECOND, NULL, on_done, &w);
        greet(&w, true);
        answer_oprf(&w, false);
        take_login(&w, SECOND, CODE_BAD_PASSWORD);
        CHECK_EQ(result(&w), CODE_BAD_PASSWORD);
        CHECK(!account_is_active(account(&w)));
        world_free(&w);
}

/* It was restored without the keys of passwords, or begun anew. */
TEST(a_tracker_that_has_lost_the_password_lets_it_be_set_again) {
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        take_statement(&w, FIRST);
        CHECK_EQ(result(&w), CODE_OK);
        account_change_password(account(&w), FIRST, SECOND, on_done, &w);
        answer_oprf_with(&w, false, 6);
        answer_oprf(&w, true);
        take_statement(&w, SECOND);
        CHECK_EQ(result(&w), CODE_OK);
        CHECK(!far_has(&w.tracker.far, FRAME_LOGIN));
        world_free(&w);
}

/* Another tracker comes while the first is asked. */
TEST(a_password_is_set_once_whatever_happens_to_trackers) {
        Frame f;
        World w;

        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        SIM_UNTIL(&w.lab.sim, far_has(&w.tracker.far, FRAME_ACCOUNT));
        account_trackers_changed(account(&w));
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(!far_has(&w.tracker.far, FRAME_OPRF));
        f = far_take(&w.tracker.far, FRAME_ACCOUNT);
        tracker_ok(&w.tracker, f.request);
        CHECK_EQ(result(&w), CODE_OK);
        world_free(&w);
}

TEST(the_program_ends_while_a_password_is_asked_for) {
        World w;

        world_new(&w);
        begin(&w);
        (void)await(&w, FRAME_OPRF);
        world_free(&w);
        world_new(&w);
        begin(&w);
        answer_oprf(&w, true);
        (void)await(&w, FRAME_ACCOUNT);
        world_free(&w);
}
