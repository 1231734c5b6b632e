/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The store of a tracker as its program sees it: the real one, of whose mailboxes the ledger hears
 * each change that is on disk, and which answers something else while the tracker lies.
 */

#include "world.h"

/* Takes REAL, also when it fails. */
int mailbox_store_new(Machine *m, DStore *real, DStore **ret);
