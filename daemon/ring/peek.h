/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a directory reads of objects that were verified when they came in: form only, without the
 * signatures, which cost more than all the rest of a look-up. Never for what comes from outside.
 */

#include "wire/identity.h"

/* Fills account, name, epoch, seq, expires, listed, presence, endpoints, certificate, and of that
 * device and expires; enough for record_compare(). -EBADMSG. */
int record_peek(Bytes outer, Record *ret);

/* Fills account, epoch, device, presence and seq. -EBADMSG. */
int presence_peek(Bytes outer, PresenceRecord *ret);
