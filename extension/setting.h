/*
 * extension/setting.h
 *
 * The settings of outbox.setting: names, defaults and ranges.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_SETTING_H
#define OUTBOX_SETTING_H

#include "outbox.h"

/*
 * setting_default, setting_parse give a setting as a number; a boolean is 0
 * or 1.  They raise on an unknown name, setting_parse also on a value that is
 * not in range.  Bytes may carry a unit: '512kB'.
 */
extern int64 setting_default(const char *name);
extern int64 setting_parse(const char *name, const char *value);

/*
 * setting_stored gives a value that was stored; with a warning the default
 * when it is not in range, as after a restore from another version.
 */
extern int64 setting_stored(const char *name, const char *value);

#endif /* OUTBOX_SETTING_H */
