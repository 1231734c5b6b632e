/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One secret in the default collection of the Secret Service (org.freedesktop.secrets, which key
 * rings of desktops offer on the session bus). What is in the way is told; when a signal says that
 * something has changed there, it goes on by itself. A collection that is locked is to be unlocked,
 * by the prompt of the service, once for each service that comes; who refuses is not asked again.
 *
 * The secret goes over the bus as it is ("plain"). The other way that the specification has, a key
 * agreement with 1024 bits and no proof of who is at the other end, keeps nothing from anybody but
 * who reads the memory of the bus and of none of the two programs.
 */

#include "util/loop.h"

typedef struct SecretService SecretService;
typedef struct sd_event sd_event;

#define SECRET_SIZE 32 /* bytes, kept there as hexadecimal digits */
#define SECRET_ID_SIZE 16

typedef enum SecretState {
        SECRET_ASKING, /* the service has not answered yet */
        SECRET_PROMPTING, /* it asks the user */
        SECRET_ABSENT, /* nobody offers it, or can be started for it */
        SECRET_NO_COLLECTION, /* there is none by default */
        SECRET_LOCKED, /* and the user has refused to unlock it, or cannot be asked */
        SECRET_MISSING, /* there is no such secret in what is open */
        SECRET_FAILED, /* it answers with errors */
        _SECRET_STATE_MAX,
} SecretState;

typedef struct SecretCallbacks {
        /* Something is in the way. ERROR: what the service or the bus says, or "". */
        void (*state)(void *userdata, SecretState state, const char *error);
        /* What was asked for is done. SECRET: valid during the call; NULL: there is none. */
        void (*done)(void *userdata, const uint8_t *secret);
} SecretCallbacks;

/* ID tells this secret from others of p2pchat. Nobody is called before the loop runs. Negative
 * errno where there is no session bus. */
int secret_service_new(sd_event *event, const uint8_t id[static SECRET_ID_SIZE],
        const SecretCallbacks *callbacks, void *userdata, SecretService **ret);
SecretService *secret_service_free(SecretService *s);

/* One at a time; another one ends what was asked for before.
 * AWAIT: until it is there. Otherwise done() says that it is not, once it could be put there. */
void secret_service_get(SecretService *s, bool await);
void secret_service_put(SecretService *s, const uint8_t secret[static SECRET_SIZE]);
void secret_service_remove(SecretService *s);

/* Nobody is called any more. */
void secret_service_cancel(SecretService *s);

/* What is in the way may be no longer: a key ring that is unlocked by the login says nothing. */
void secret_service_look(SecretService *s);

DEFINE_CLEANUP(SecretService *, secret_service_free)
