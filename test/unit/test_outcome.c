/*
 * test/unit/test_outcome.c
 *
 * Every HTTP status there can be, against a list of what is not PERMANENT.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "core/outcome.h"

#include "tap.h"

static OutcomeClass
expected(int status)
{
	if (status / 100 == 2)
		return OUTCOME_OK;
	if (status == 408 || status == 425 || status == 429 || status / 100 == 5)
		return OUTCOME_TRANSIENT;
	return OUTCOME_PERMANENT;
}

int
main(void)
{
	int wrong = 0;

	for (int status = -1; status < 1100; status++)
		wrong += outcome_of_http_status(status) != expected(status);
	is_int(wrong, 0, "every status has its class");
	is_int(outcome_of_http_status(200), OUTCOME_OK, "200 is OK");
	is_int(outcome_of_http_status(302), OUTCOME_PERMANENT, "302 is PERMANENT");
	is_int(outcome_of_http_status(429), OUTCOME_TRANSIENT, "429 is TRANSIENT");
	is_str(outcome_class_name(OUTCOME_OK), "OK", "name of OK");
	is_str(outcome_class_name(OUTCOME_TRANSIENT), "TRANSIENT",
		   "name of TRANSIENT");
	is_str(outcome_class_name(OUTCOME_PERMANENT), "PERMANENT",
		   "name of PERMANENT");
	return tap_done();
}
