/*
 * relay/core/outcome.h
 *
 * What a destination said about one attempt.  A value, not an error: sinks
 * make it, retry.c decides what follows from it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_OUTCOME_H
#define OUTBOX_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* Longest error text and longest piece of an answer that is kept. */
#define OUTCOME_ERROR_MAX 256
#define OUTCOME_ANSWER_MAX 1024

typedef enum OutcomeClass
{
	OUTCOME_OK,        /* the destination has it */
	OUTCOME_TRANSIENT, /* may work later */
	OUTCOME_PERMANENT  /* never will */
} OutcomeClass;

typedef struct Outcome
{
	OutcomeClass class;
	bool held_back;         /* not sent: one before it failed */
	int status;             /* HTTP status or Kafka error code; 0: none */
	int64_t retry_after_ms; /* what the destination asked for; -1: nothing */
	int64_t duration_us;    /* of the attempt */
	char error[OUTCOME_ERROR_MAX]; /* "" when OK */
	uint32_t answer_len;
	uint8_t answer[OUTCOME_ANSWER_MAX]; /* the first bytes of it */
} Outcome;

/* outcome_class_name: "OK", "TRANSIENT", "PERMANENT". */
extern const char *outcome_class_name(OutcomeClass class);

/*
 * outcome_of_http_status: 2xx OK; 408, 425, 429 and 5xx TRANSIENT; all others,
 * 3xx included since redirects are not followed, PERMANENT.
 */
extern OutcomeClass outcome_of_http_status(int status);

#endif /* OUTBOX_OUTCOME_H */
