/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "script.h"

#include <ctype.h>
#include <inttypes.h>

#include "util/fs.h"

#define SCRIPT_SIZE_MAX (16 * 1024 * 1024)
#define SCRIPT_TIME_MAX (10000 * USEC_PER_DAY)

/* See script_print_phrases(); what is in brackets is said when N is not the number behind. */
static const struct {
        const char *phrase;
        uint64_t n;
} verbs[_VERB_MAX] = {
        [VERB_SEND] = {"A writes to B[ N times]", 1},
        [VERB_READ] = {"A reads what B wrote"},
        [VERB_CANCEL] = {"A takes back a message to B"},
        [VERB_LISTEN] = {"A listens"},
        [VERB_DEAFEN] = {"A stops listening"},
        [VERB_CATCH_UP] = {"A catches up"},
        [VERB_BLOCK] = {"A blocks B"},
        [VERB_UNBLOCK] = {"A unblocks B"},
        [VERB_ROOM_MAKE] = {"A makes the room"},
        [VERB_ROOM_MAKE_PRIVATE] = {"A makes the private room"},
        [VERB_ROOM_MAKE_HIDDEN] = {"A makes the hidden room"},
        [VERB_ROOM_JOIN] = {"A joins the room"},
        [VERB_ROOM_LEAVE] = {"A leaves the room"},
        [VERB_ROOM_INVITE] = {"A invites B"},
        [VERB_ROOM_KICK] = {"A kicks B"},
        [VERB_ROOM_ADMIN] = {"A makes B admin"},
        [VERB_ROOM_GIVE] = {"A gives the room to B"},
        [VERB_ROOM_POST] = {"A writes to the room[ N times]", 1},
        [VERB_ROOM_READ] = {"A reads the room"},
        [VERB_LOGIN] = {"A logs in"},
        [VERB_VERIFY] = {"A verifies B"},
        [VERB_ASK] = {"A asks before it hands over"},
        [VERB_ACCEPT] = {"A accepts the hand-over"},
        [VERB_SAVE] = {"A's store is saved"},
        [VERB_RESTORE] = {"A's store is put back"},
        [VERB_START] = {"X starts"},
        [VERB_STOP] = {"X stops"},
        [VERB_KILL] = {"X is killed[ at call N]", 0},
        [VERB_POWER] = {"X loses power[ at call N]", 0},
        [VERB_SUSPEND] = {"X sleeps for T"},
        [VERB_CLOCK_FORWARD] = {"X's clock goes forward by T"},
        [VERB_CLOCK_BACK] = {"X's clock goes back by T"},
        [VERB_FORGE] = {"A forges messages"},
        [VERB_HONEST] = {"A is honest"},
        [VERB_DESTROY] = {"A is destroyed"},
        [VERB_LOSE_PREKEY] = {"A loses the newest prekey"},
        [VERB_RENEW] = {"A has a new device"},
        [VERB_OLD_START] = {"A's old device starts"},
        [VERB_OLD_STOP] = {"A's old device stops"},
        [VERB_TWIN] = {"A has a twin"},
        [VERB_OLD_POST] = {"A's old device writes to the room[ N times]", 1},
        [VERB_MOVE] = {"X moves"},
        [VERB_NAT_ON] = {"X is behind a NAT"},
        [VERB_NAT_OFF] = {"X is reachable"},
        [VERB_LAN_MOVE] = {"X moves to LAN L"},
        [VERB_LAN_SWITCH] = {"X is switched to LAN L"},
        [VERB_UNPLUG] = {"X is unplugged"},
        [VERB_PLUG] = {"X is plugged in"},
        [VERB_NO_TRACKER] = {"A knows no tracker"},
        [VERB_PUBLISH] = {"A hears of the trackers"},
        [VERB_CALLED] = {"A bears B's name"},
        [VERB_DISK_FULL] = {"X's disk is full"},
        [VERB_DISK_FAILS] = {"X's disk fails[ N times]", 1},
        [VERB_DISK_SLOW] = {"X's disk takes T"},
        [VERB_DISK_GOOD] = {"X's disk is good"},
        [VERB_DISK_LOST] = {"Z loses its disk"},
        [VERB_WITHHOLD] = {"Z withholds mail"},
        [VERB_KEEP_NOTHING] = {"Z keeps no mail"},
        [VERB_DENY] = {"Z denies what it has"},
        [VERB_CLAIM] = {"Z claims to have all mail"},
        [VERB_MIX_UP] = {"Z mixes up mail"},
        [VERB_KEEP_FOR_EVER] = {"Z keeps mail for ever"},
        [VERB_OLD_RECORDS] = {"Z knows old records"},
        [VERB_LIES_NO_MORE] = {"Z lies no more"},
        [VERB_CUT] = {"X and Y are cut off"},
        [VERB_CUT_ONE_WAY] = {"X is not heard by Y"},
        [VERB_RESET] = {"X and Y are disconnected"},
        [VERB_ALONE] = {"X is alone"},
        [VERB_PARTS] = {"the network is in N parts", 2},
        [VERB_HEAL] = {"X and Y are joined"},
        [VERB_HEAL_ALL] = {"all are joined"},
        [VERB_NETWORK] = {"the network takes T, up to U more, and carries N bytes/s"},
        [VERB_LANS_JOIN] = {"the LANs are one"},
        [VERB_LANS_PART] = {"the LANs are apart"},
        [VERB_ROUTER_OFF] = {"the router is off"},
        [VERB_ROUTER_ON] = {"the router is on"},
        [VERB_LAN_FAULTS] = {"LANs lose and double N of 100, up to T late"},
        [VERB_INTRUDER_COMES] = {"an intruder comes to LAN L"},
        [VERB_REPLAY] = {"the intruder replays beacons"},
        [VERB_ALTER] = {"the intruder alters beacons"},
        [VERB_CLAIM_NAMES] = {"the intruder claims names"},
        [VERB_FLOOD] = {"the intruder floods"},
        [VERB_INTRUDER_STOPS] = {"the intruder stops"},
        [VERB_QUIET] = {"quiet"},
};

static const char *const users[] = {"alice", "bob", "carol", "dave", "erin", "frank", "grace",
        "heidi", "ivan", "judy", "kim", "leo", "mallory", "niaj", "olivia", "peggy"};

/* The letter at P if it stands for something, 0 if it is part of a word. */
static char placeholder(const char *phrase, const char *p) {
        bool alone = !isalpha(p[1]) && (p == phrase || !isalpha(p[-1]));

        return alone && isupper(*p) ? *p : 0;
}

bool verb_has(Verb v, char letter) {
        const char *phrase = verbs[v].phrase;

        for (const char *p = phrase; *p; p++)
                if (placeholder(phrase, p) == letter)
                        return true;
        return false;
}

uint64_t verb_default(Verb v) {
        return verbs[v].n;
}

void script_print_phrases(FILE *f) {
        for (Verb v = 0; v < _VERB_MAX; v++)
                fprintf(f, "%s\n", verbs[v].phrase);
}

unsigned script_n_machines(const Script *s) {
        unsigned devices = s->n_users <= SCRIPT_PEOPLE_MAX ? MAX(s->n_devices, 1U) : 1;

        return s->n_trackers + s->n_users * devices;
}

const char *script_name(unsigned n_users, unsigned n_trackers, unsigned machine,
        char buf[static SCRIPT_NAME_SIZE]) {
        unsigned further = machine - n_users - n_trackers;

        if (machine < MIN(n_users, ELEMENTSOF(users)))
                return users[machine];
        if (machine < n_users)
                snprintf(buf, SCRIPT_NAME_SIZE, "u%u", machine + 1);
        else if (machine < n_users + n_trackers)
                snprintf(buf, SCRIPT_NAME_SIZE, "t%u", machine - n_users + 1);
        else
                snprintf(buf, SCRIPT_NAME_SIZE, "%s%u", users[further % n_users],
                        further / n_users + 2);
        return buf;
}

/* Scripts */

void script_done(Script *s) {
        free(s->actions);
        *s = (Script){};
}

int script_add(Script *s, const Action *a) {
        size_t i;

        if (s->n == s->allocated) {
                size_t allocated = MAX(2 * s->allocated, 64U);
                Action *actions = reallocarray(s->actions, allocated, sizeof(*actions));

                if (!actions)
                        return -ENOMEM;
                s->actions = actions;
                s->allocated = allocated;
        }
        for (i = s->n; i > 0 && s->actions[i - 1].at > a->at; i--)
                s->actions[i] = s->actions[i - 1];
        s->actions[i] = *a;
        s->n++;
        return 0;
}

int script_copy(const Script *s, Script *ret) {
        Script copy = *s;

        copy.allocated = s->n;
        copy.actions = calloc(MAX(s->n, (size_t)1), sizeof(Action));
        if (!copy.actions)
                return -ENOMEM;
        copy_bytes(copy.actions, s->actions, s->n * sizeof(Action));
        *ret = copy;
        return 0;
}

/* Printing */

static const struct {
        const char *name;
        usec_t usec;
} units[] = {
        {"d", USEC_PER_DAY},
        {"h", USEC_PER_HOUR},
        {"ms", USEC_PER_MSEC}, /* before the beginnings of their names */
        {"us", 1},
        {"m", USEC_PER_MINUTE},
        {"s", USEC_PER_SEC},
};

static void time_print(usec_t t, FILE *f) {
        unsigned minutes = t / USEC_PER_MINUTE % 60, hours = t / USEC_PER_HOUR % 24;
        usec_t seconds = t % USEC_PER_MINUTE;

        if (t >= USEC_PER_DAY)
                fprintf(f, "%" PRIu64 "d", t / USEC_PER_DAY);
        if (hours > 0)
                fprintf(f, "%uh", hours);
        if (minutes > 0)
                fprintf(f, "%um", minutes);
        if (seconds == 0 && t > 0)
                return;
        fprintf(f, "%" PRIu64, seconds / USEC_PER_SEC);
        if (seconds % USEC_PER_SEC > 0) {
                char digits[8];
                size_t n = snprintf(
                        digits, sizeof(digits), "%06u", (unsigned)(seconds % USEC_PER_SEC));

                while (digits[n - 1] == '0')
                        n--;
                fprintf(f, ".%.*s", (int)n, digits);
        }
        fputc('s', f);
}

void action_print(const Script *s, const Action *a, FILE *f) {
        const char *phrase = verbs[a->verb].phrase;
        char name[SCRIPT_NAME_SIZE];

        time_print(a->at, f);
        fputc(' ', f);
        for (const char *p = phrase; *p; p++)
                switch (placeholder(phrase, p)) {
                case 'A':
                case 'X':
                case 'Z':
                        fputs(script_name(s->n_users, s->n_trackers, a->a, name), f);
                        break;
                case 'B':
                case 'Y':
                        fputs(script_name(s->n_users, s->n_trackers, a->b, name), f);
                        break;
                case 'N':
                case 'L':
                        fprintf(f, "%" PRIu64, a->n);
                        break;
                case 'T':
                        time_print(a->t, f);
                        break;
                case 'U':
                        time_print(a->u, f);
                        break;
                default:
                        if (*p == '[' && a->n == verbs[a->verb].n)
                                p = strchr(p, ']');
                        else if (*p != '[' && *p != ']')
                                fputc(*p, f);
                }
        fputc('\n', f);
}

void script_print(const Script *s, FILE *f) {
        fprintf(f, "seed %" PRIu64 "\nusers %u\ntrackers %u\n", s->seed, s->n_users, s->n_trackers);
        if (s->n_devices > 0)
                fprintf(f, "devices %u\n", s->n_devices);
        for (size_t i = 0; i < s->n; i++)
                action_print(s, &s->actions[i], f);
}

/* Parsing */

typedef struct Parser {
        Script *s;
        unsigned line;
        bool has[4]; /* of the words at the top */
        const char *furthest; /* where the line stops making sense */
        const char *expected; /* there, or NULL */
} Parser;

/* Where to go on, or NULL: this is not it. */
static const char *fail(Parser *p, const char *at, const char *expected) {
        if (at > p->furthest || (at == p->furthest && expected)) {
                p->furthest = at;
                p->expected = expected;
        }
        return NULL;
}

static const char *parse_number(Parser *p, const char *text, uint64_t *ret) {
        const char *at = text;
        uint64_t n = 0;

        for (; isdigit((unsigned char)*at); at++)
                if (__builtin_mul_overflow(n, 10, &n) ||
                        __builtin_add_overflow(n, (uint64_t)(*at - '0'), &n))
                        return fail(p, text, "a smaller number");
        if (at == text)
                return fail(p, text, "a number");
        *ret = n;
        return at;
}

static const char *parse_lan(Parser *p, const char *text, uint64_t *ret) {
        uint64_t n;
        const char *at = parse_number(p, text, &n);

        if (!at || n > SCRIPT_LANS_MAX)
                return fail(p, text, "the number of a LAN, or 0");
        *ret = n;
        return at;
}

static const char *parse_unit(const char *at, usec_t *ret) {
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strncmp(at, units[i].name, strlen(units[i].name)) == 0) {
                        *ret = units[i].usec;
                        return at + strlen(units[i].name);
                }
        return NULL;
}

/* "1d2h", "2m3.5s", "200ms": to a microsecond. */
static const char *parse_time(Parser *p, const char *text, usec_t *ret) {
        const char *at = text;
        usec_t sum = 0;

        do {
                uint64_t whole, fraction = 0, scale = 1;
                const char *number = at;
                usec_t unit;

                at = parse_number(p, at, &whole);
                if (!at)
                        return NULL;
                if (*at == '.')
                        for (at++; isdigit((unsigned char)*at) && scale < USEC_PER_SEC;
                                at++, scale *= 10)
                                fraction = 10 * fraction + (uint64_t)(*at - '0');
                at = parse_unit(at, &unit);
                if (!at)
                        return fail(p, number, "a time");
                if (whole > SCRIPT_TIME_MAX / unit)
                        return fail(p, number, "a shorter time");
                sum += whole * unit + fraction * unit / scale;
        } while (isdigit((unsigned char)*at));
        if (sum > SCRIPT_TIME_MAX)
                return fail(p, text, "a shorter time");
        *ret = sum;
        return at;
}

/* What can stand for LETTER. */
static bool is_named_by(const Script *s, char letter, unsigned machine) {
        bool tracker = machine >= s->n_users && machine < s->n_users + s->n_trackers;

        switch (letter) {
        case 'A':
                return !tracker;
        case 'B':
                return machine < s->n_users;
        case 'Z':
                return tracker;
        default:
                return true;
        }
}

static const char *parse_machine(Parser *p, char letter, const char *text, unsigned *ret) {
        const Script *s = p->s;
        size_t size = 0;

        while (isalnum((unsigned char)text[size]))
                size++;
        for (unsigned i = 0; i < script_n_machines(s); i++) {
                char buf[SCRIPT_NAME_SIZE];
                const char *name = script_name(s->n_users, s->n_trackers, i, buf);

                if (is_named_by(s, letter, i) && strlen(name) == size &&
                        strncmp(name, text, size) == 0) {
                        *ret = i;
                        return text + size;
                }
        }
        return fail(p, text,
                letter == 'Z'                            ? "the name of a tracker"
                        : letter == 'A' || letter == 'B' ? "the name of a user"
                                                         : "the name of a machine");
}

/* At the beginning of the word. */
static const char *fail_word(Parser *p, const char *text, const char *at) {
        while (at > text && at[-1] != ' ')
                at--;
        return fail(p, at, NULL);
}

static const char *parse_phrase(Parser *p, const char *phrase, const char *text, Action *a) {
        const char *at = text;
        char letter;

        for (const char *q = phrase; at && *q; q++)
                switch (letter = placeholder(phrase, q)) {
                case 'A':
                case 'X':
                case 'Z':
                        at = parse_machine(p, letter, at, &a->a);
                        break;
                case 'B':
                case 'Y':
                        at = parse_machine(p, letter, at, &a->b);
                        break;
                case 'N':
                        at = parse_number(p, at, &a->n);
                        break;
                case 'L':
                        at = parse_lan(p, at, &a->n);
                        break;
                case 'T':
                        at = parse_time(p, at, &a->t);
                        break;
                case 'U':
                        at = parse_time(p, at, &a->u);
                        break;
                default:
                        if (*q == '[' && *at == 0)
                                q = strchr(q, ']');
                        else if (*q != '[' && *q != ']')
                                at = *at == *q ? at + 1 : fail_word(p, text, at);
                }
        return at && *at ? fail(p, at, "the end of the line") : at;
}

static const char *parse_action(Parser *p, const char *text, Action *ret) {
        const char *at;
        usec_t when;

        at = parse_time(p, text, &when);
        if (!at)
                return NULL;
        if (*at++ != ' ')
                return fail(p, at - 1, "a blank");
        if (p->s->n > 0 && when < p->s->actions[p->s->n - 1].at)
                return fail(p, at, "a time that is not before the last one");
        for (Verb v = 0; v < _VERB_MAX; v++) {
                Action a = {.at = when, .verb = v, .n = verbs[v].n};
                const char *end = parse_phrase(p, verbs[v].phrase, at, &a);

                if (!end)
                        continue;
                if (a.a == a.b && (verb_has(v, 'B') || verb_has(v, 'Y'))) {
                        p->furthest = NULL;
                        return fail(p, at, "two machines");
                }
                *ret = a;
                return end;
        }
        return NULL;
}

/* "seed N", "users N", "trackers N" or "devices N". */
static const char *parse_top(Parser *p, const char *text) {
        static const struct {
                const char *word;
                uint64_t least, most;
        } words[] = {
                {"seed ", 0, UINT64_MAX},
                {"users ", 1, SCRIPT_USERS_MAX},
                {"trackers ", 0, SCRIPT_TRACKERS_MAX},
                {"devices ", 2, SCRIPT_DEVICES_MAX},
        };
        unsigned *const numbers[] = {NULL, &p->s->n_users, &p->s->n_trackers, &p->s->n_devices};

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                size_t size = strlen(words[i].word);
                const char *at;
                uint64_t n;

                if (strncmp(text, words[i].word, size) != 0)
                        continue;
                at = parse_number(p, text + size, &n);
                if (at && (n < words[i].least || n > words[i].most))
                        return fail(p, text + size, "another number");
                if (at && *at)
                        return fail(p, at, "the end of the line");
                if (at && (p->has[i] || p->s->n > 0))
                        return fail(p, text + 1, "this once, before all that happens");
                if (at && i == 0)
                        p->s->seed = n;
                else if (at)
                        *numbers[i] = n;
                p->has[i] |= at != NULL;
                return at;
        }
        return fail(p, text, "seed, users, trackers, devices or a time");
}

/* TEXT has no comment, no blanks around it, and one blank for several. */
static int parse_line(Parser *p, const char *text) {
        Action a;

        p->furthest = NULL;
        if (!isdigit((unsigned char)text[0]))
                return parse_top(p, text) ? 0 : -EINVAL;
        if (!parse_action(p, text, &a))
                return -EINVAL;
        return script_add(p->s, &a);
}

/* In place: how many bytes. */
static size_t clean_line(char *line) {
        size_t n = 0;

        line[strcspn(line, "#")] = 0;
        for (const char *p = line; *p; p++)
                if (!isspace((unsigned char)*p))
                        line[n++] = *p;
                else if (n > 0 && line[n - 1] != ' ')
                        line[n++] = ' ';
        n -= n > 0 && line[n - 1] == ' ';
        line[n] = 0;
        return n;
}

static int parse_error(const Parser *p, ScriptError *ret_error) {
        if (p->expected)
                snprintf(ret_error->text, sizeof(ret_error->text), "line %u: expected %s at: %.40s",
                        p->line, p->expected, p->furthest);
        else
                snprintf(ret_error->text, sizeof(ret_error->text),
                        "line %u: nothing that can happen: %.40s", p->line, p->furthest);
        return -EINVAL;
}

int script_parse(const char *text, Script *ret, ScriptError *ret_error) {
        _cleanup_(script_done) Script s = {};
        _cleanup_(freep) char *copy = strdup(text);
        Parser p = {.s = &s};
        char *rest = copy, *line;

        if (!copy)
                return -ENOMEM;
        while ((line = strsep(&rest, "\n"))) {
                int r;

                p.line++;
                r = clean_line(line) > 0 ? parse_line(&p, line) : 0;
                if (r == -EINVAL)
                        return parse_error(&p, ret_error);
                if (r < 0)
                        return r;
        }
        if (s.n_users == 0) {
                snprintf(ret_error->text, sizeof(ret_error->text), "there are no users");
                return -EINVAL;
        }
        if (s.n_devices > 0 && s.n_users > SCRIPT_PEOPLE_MAX) {
                snprintf(ret_error->text, sizeof(ret_error->text),
                        "only %d users can have several devices", SCRIPT_PEOPLE_MAX);
                return -EINVAL;
        }
        *ret = s;
        s = (Script){};
        return 0;
}

int script_load(const char *path, Script *ret, ScriptError *ret_error) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = fs_read_file(path, SCRIPT_SIZE_MAX, &text, &size);
        return r < 0 ? r : script_parse(text, ret, ret_error);
}
