/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The events that have a MESSAGE_ID, and the fields that come with each. Published: an id is never
 * given to another event. The catalogs in systemd/ say what each means and what to do, and the
 * manual pages list them; a test holds the three together. The two programs have ids of their
 * own, since what to do is not the same for a user and for whoever runs a tracker.
 */

/* p2pchatd */

/* This and the next ones have P2PCHAT_VERSION, P2PCHAT_QUEUED, which is what waits to be sent, and
 * with an account P2PCHAT_NAME and P2PCHAT_ACCOUNT. */
#define EVENT_STARTED "aa511f20b3b14c669fedad951768918b"
#define EVENT_STOPPED "ba8cf73640d54f05bc7d918dab8ce76e"
#define EVENT_LOGGED_IN "f6b6d15e521a4b7fa1363a5998ecbbdf"
#define EVENT_LOGGED_OUT "8514eb3be0c74d38a9da6bb40984ec8b"
#define EVENT_ACCOUNT_REPLACED "5302b9719c5f4d9397bc69fcd205d606"
/* And all that was kept of it here: P2PCHAT_NAME. */
#define EVENT_ACCOUNT_DELETED "3ed213f34b674e0f86c523635d819c81"
/* From a copy; as EVENT_STARTED. */
#define EVENT_STORE_RESTORED "ad54178e70984f7e974dfdf246fc3e91"
/* It cannot start: P2PCHAT_ERROR. */
#define EVENT_START_FAILED "a81c10a43221458ba5ee8fccdd73ef67"
/* A tracker does not register the name: P2PCHAT_NAME, P2PCHAT_CODE, P2PCHAT_ERROR. */
#define EVENT_NAME_REFUSED "d10509bfe1604f7ca7fd3f72a3405299"
/* P2PCHAT_TRACKER. */
#define EVENT_TRACKER_REACHED "a3e27ace8f3c4c10b30abf5ad30fddd1"
/* Or not reached: P2PCHAT_TRACKER, P2PCHAT_STATE, P2PCHAT_ERROR. */
#define EVENT_TRACKER_LOST "d0c7c407581b482a808da00d6f3e593e"
/* Again: P2PCHAT_CONFIG_FILE. */
#define EVENT_CONFIG_READ "726bf5efdf104f3eab5eac60163c2392"
/* A value that is another one now: P2PCHAT_CONFIG_KEY. */
#define EVENT_CONFIG_CHANGED "4bfa46ee634f410f8bb1fd065305e4c3"
/* The old one holds: P2PCHAT_ERROR. */
#define EVENT_CONFIG_REFUSED "71f5195693274ad79ab97751d3e8d69e"
/* P2PCHAT_ERROR. */
#define EVENT_LISTEN_FAILED "87716519573143aea9489932feaf65ff"
/* The key of the store is waited for: P2PCHAT_ERROR. */
#define EVENT_KEY_AWAITED "004ef0061ded42b784baaf978a806f94"
/* It was written by a newer version: P2PCHAT_STORE. */
#define EVENT_STORE_NEWER "57ba11e2dadf4845af01f62873853e0d"
/* At the start: P2PCHAT_STORE. While it runs: P2PCHAT_ERROR. */
#define EVENT_STORE_DAMAGED "4fb49bb19fed4bf586890400d24ce33d"
/* A full disk or store, or one that cannot be written: P2PCHAT_ERROR. */
#define EVENT_STORE_FAILED "d1ecba4165f045fdb2133c5e26a084a8"
/* Again. */
#define EVENT_STORE_WRITABLE "3f03ac2af97742c4a5d924419ba7e1db"
/* P2PCHAT_TOOK_USEC. */
#define EVENT_DISK_SLOW "a694024d3fd6418eaf20f224f2b52b6f"

/* p2pchat-tracker */

/* It runs: P2PCHAT_VERSION, P2PCHAT_TRACKER, which is its own address. */
#define EVENT_NODE_STARTED "9a01c7409d47452bb6b4101aa7781107"
/* It ends as it was asked to: P2PCHAT_SESSIONS, P2PCHAT_REGISTRATIONS. */
#define EVENT_NODE_STOPPED "ef477f2759504673944cd600f11b8821"
/* It cannot start: P2PCHAT_ERROR. */
#define EVENT_NODE_START_FAILED "12de8a42db5349ed9b1568d4741c7cc8"
/* A new name: P2PCHAT_NAME, P2PCHAT_ACCOUNT. */
#define EVENT_NODE_REGISTERED "b2e22fb55d7d4b669e2dc606e4d2a69b"
/* An account is gone, as its user wanted: P2PCHAT_NAME, P2PCHAT_ACCOUNT. */
#define EVENT_NODE_DELETED "77b8299790964ebabe928c337d6518da"
/* P2PCHAT_NAME, P2PCHAT_ACCOUNT, P2PCHAT_CODE, P2PCHAT_ERROR. */
#define EVENT_NODE_NAME_REFUSED "0e6e84abb9fc4f089642726374f49a46"
/* New names from one address: as before, and P2PCHAT_ADDRESS. */
#define EVENT_NODE_RATE_LIMITED "4a37db1afa7240fd8388fa0c86ffbc4f"
/* A connection was refused: P2PCHAT_ADDRESS, P2PCHAT_CODE, P2PCHAT_ERROR. */
#define EVENT_NODE_CROWDED "a9be3e2958884905a9cd35feda894593"
/* There are no descriptors, or no memory, for another one: P2PCHAT_ERROR. */
#define EVENT_NODE_EXHAUSTED "d244a7b80bbe4d0c898c55ae7da52f2d"
/* So many more of one kind there were: P2PCHAT_NOT_SHOWN, P2PCHAT_EVENT. */
#define EVENT_NODE_NOT_SHOWN "6d859121239e494d8480b97ea56a46de"
/* Again: P2PCHAT_TRACKER, its address from now on. */
#define EVENT_NODE_CONFIG_READ "556c684dcb754a679d15ffb966d037ee"
/* A value that is another one now: P2PCHAT_CONFIG_KEY. */
#define EVENT_NODE_CONFIG_CHANGED "cf7dbdf438674b11b5a64116e8dd46ce"
/* The old one holds: P2PCHAT_ERROR. */
#define EVENT_NODE_CONFIG_REFUSED "1c615325a7544f3682b85bbbd0ba61c3"
/* The directory was written by a newer version: P2PCHAT_STORE. */
#define EVENT_NODE_STORE_NEWER "90f65787b4e64cc98c7851f7c0bea222"
/* At the start: P2PCHAT_STORE. While it runs: P2PCHAT_ERROR. */
#define EVENT_NODE_STORE_DAMAGED "673094683cc146229bac6311696467dc"
/* The directory cannot be read or written now: P2PCHAT_ERROR. */
#define EVENT_NODE_STORE_FAILED "e7d7959d8be04e948a0913171509db6a"
/* Again. */
#define EVENT_NODE_STORE_WRITABLE "24df749c75a742bab5d59c5e19373df7"
