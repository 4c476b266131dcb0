/*
 * relay/sink.c
 *
 * The registration of sinks: a new one is its own file and one line here.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "sink.h"

static const SinkOps *const sinks[] = {
	[SPEC_HTTP] = &sink_http,
	[SPEC_KAFKA] = &sink_kafka,
};

const SinkOps *
sink_ops_of(SpecKind kind)
{
	return sinks[kind];
}
