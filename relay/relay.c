/*
 * relay/relay.c
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "relay.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "conninfo.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "session.h"
#include "sink_kafka_conf.h"

/*
 * The first new try comes soon, those after it at most once a second, and
 * more and more seldom while the server does not let us in.
 */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 5000

/* A session that ran this long was a good one: the next begins at once. */
#define GOOD_SESSION_MS 10000

#define ERROR_MAX 512

typedef struct Relay
{
	Loop *loop;
	Config *config;
	Listener *listener;
	Session *session; /* NULL between two */
	Timer *next_timer;
	int64_t backoff_ms;
	int64_t begun_ms;
	bool stopping;
	Metrics metrics;
	char why[SESSION_REASON_MAX]; /* the last session ended */
} Relay;

Config *
relay_config(const char *path, char *err, size_t err_size)
{
	Config *config = config_read(path, err, err_size);
	char wrong[ERROR_MAX];

	if (config == NULL)
		return NULL;
	if (!conninfo_check(config->conninfo, wrong, sizeof(wrong)))
		snprintf(err, err_size, "%s:%d: %s%s", path, config->conninfo_line,
				 wrong, config_comment_hint(config->conninfo));
	else if (config->ca_file != NULL && access(config->ca_file, R_OK) != 0)
		snprintf(err, err_size, "%s:%d: could not read ca_file \"%s\": %m",
				 path, config->ca_file_line, config->ca_file);
	else if (kafka_check(config, err, err_size))
		return config;
	config_free(config);
	return NULL;
}

/* ---------- sessions ---------- */

/* backoff: how long to wait for the next session; more for the one after. */
static int64_t
backoff(Relay *relay, SessionEnd end, SessionState state)
{
	int64_t ran_ms = loop_now_ms(relay->loop) - relay->begun_ms;
	bool let_in = end == SESSION_TERMINATED || state > SESSION_CHECKING;
	int64_t delay_ms = relay->backoff_ms;

	if (ran_ms >= GOOD_SESSION_MS)
		delay_ms = BACKOFF_FIRST_MS;
	else if (let_in && delay_ms > BACKOFF_MIN_MS)
		delay_ms = BACKOFF_MIN_MS;
	relay->backoff_ms = delay_ms * 2;
	if (relay->backoff_ms < BACKOFF_MIN_MS)
		relay->backoff_ms = BACKOFF_MIN_MS;
	if (relay->backoff_ms > BACKOFF_MAX_MS)
		relay->backoff_ms = BACKOFF_MAX_MS;
	return delay_ms;
}

static void
session_ended(void *arg, SessionEnd end, const char *reason)
{
	Relay *relay = arg;
	SessionStatus status;
	int64_t delay_ms;

	snprintf(relay->why, sizeof(relay->why), "%s", reason);
	session_status(relay->session, &status);
	metrics_absorb(&relay->metrics, &status);
	session_close(relay->session);
	relay->session = NULL;
	if (end == SESSION_DRAINED || relay->stopping)
	{
		log_info("stopped", "%s", relay->why);
		loop_stop(relay->loop, RELAY_EXIT_ASKED);
		return;
	}
	if (end == SESSION_FATAL)
	{
		log_error("cannot_run", "%s", relay->why);
		loop_stop(relay->loop, RELAY_EXIT_CONFIG);
		return;
	}
	delay_ms = backoff(relay, end, status.state);
	log_warning("session_lost", "%s; trying again in %d ms", relay->why,
				(int) delay_ms);
	sd_notifyf(0, "STATUS=not delivering: %s", relay->why);
	timer_set(relay->next_timer, delay_ms);
}

static void
next_session(void *arg)
{
	Relay *relay = arg;

	relay->begun_ms = loop_now_ms(relay->loop);
	relay->session = session_open(relay->loop, relay->config,
								  (SessionCaller){relay, session_ended});
}

static void
end_of_turn(void *arg)
{
	Relay *relay = arg;

	if (relay->session != NULL)
		session_turn(relay->session);
}

/* ---------- signals ---------- */

static void
stop(void *arg, int signo)
{
	Relay *relay = arg;

	sd_notify(0, "STOPPING=1");
	if (relay->stopping || relay->session == NULL)
	{
		log_info("stopped", "signal %d", signo);
		loop_stop(relay->loop, RELAY_EXIT_ASKED);
		return;
	}
	relay->stopping = true;
	log_info("draining", "signal %d: finishing what is under way", signo);
	session_drain(relay->session);
}

/* What can be changed while running; the rest is named in the log. */
static void
reload(void *arg, int signo)
{
	Relay *relay = arg;
	char error[ERROR_MAX];
	char names[ERROR_MAX];
	Config *fresh = relay_config(relay->config->path, error, sizeof(error));

	(void) signo;
	if (fresh == NULL)
	{
		log_error("reload", "the configuration stays as it was: %s", error);
		return;
	}
	config_reload_diff(relay->config, fresh, names, sizeof(names));
	log_configure(fresh->log_level, fresh->log_format);
	relay->config->memory_budget = fresh->memory_budget;
	if (relay->session != NULL)
		session_set_budget(relay->session, fresh->memory_budget);
	if (names[0] != '\0')
		log_warning("reload", "these settings need a restart: %s", names);
	else
		log_info("reload", "the configuration was read again");
	config_free(fresh);
}

/* ---------- the listener ---------- */

static int
page_ready(const Relay *relay, const SessionStatus *status, Page *page)
{
	if (status != NULL && session_delivers(status))
	{
		page_printf(page, "ready: %s\n",
					status->table_mode ? "delivering from the table"
									   : "running");
		return 200;
	}
	if (status != NULL && status->silent_ms >= SESSION_SILENT_MS)
	{
		page_printf(page, "not ready: the server has not answered for %d s\n",
					(int) (status->silent_ms / 1000));
		return 503;
	}
	page_printf(page, "not ready: %s\n",
				status != NULL ? session_state_name(status->state)
							   : relay->why);
	return 503;
}

static int
page(void *arg, const char *path, Page *out)
{
	Relay *relay = arg;
	SessionStatus status;
	bool live = relay->session != NULL;

	if (live)
		session_status(relay->session, &status);
	if (strcmp(path, "/metrics") == 0)
	{
		metrics_render(&relay->metrics, live ? &status : NULL, out);
		if (live)
			session_ask_server(relay->session);
		return 200;
	}
	if (strcmp(path, "/readyz") == 0)
		return page_ready(relay, live ? &status : NULL, out);
	if (strcmp(path, "/healthz") != 0)
		return 404;
	page_printf(out, "alive\n");
	return 200;
}

static bool
listen_on(Relay *relay)
{
	char error[ERROR_MAX];

	if (relay->config->listen[0] == '\0')
		return true;
	relay->listener = listener_open(relay->loop, relay->config->listen, page,
									relay, error, sizeof(error));
	if (relay->listener == NULL)
	{
		log_error("listen",
				  "%s; set [relay] listen to another port or address, or "
				  "leave it empty",
				  error);
		return false;
	}
	log_info("listening", "HTTP on port %d", listener_port(relay->listener));
	return true;
}

/* ---------- the process ---------- */

static void
relay_free(Relay *relay)
{
	if (relay->session != NULL)
		session_close(relay->session);
	listener_close(relay->listener);
	metrics_reset(&relay->metrics);
	if (relay->next_timer != NULL)
		timer_free(relay->next_timer);
	loop_free(relay->loop);
	config_free(relay->config);
}

int
relay_run(Config *config)
{
	Relay relay = {.config = config, .backoff_ms = BACKOFF_FIRST_MS};
	int status = RELAY_EXIT_CONFIG;

	log_configure(config->log_level, config->log_format);
	relay.loop = loop_new();
	if (relay.loop == NULL)
	{
		log_error("loop", "could not make an event loop");
		config_free(config);
		return RELAY_EXIT_RESTART;
	}
	signal(SIGPIPE, SIG_IGN);
	snprintf(relay.why, sizeof(relay.why), "starting");
	if (listen_on(&relay))
	{
		loop_signal(relay.loop, SIGTERM, stop, &relay);
		loop_signal(relay.loop, SIGINT, stop, &relay);
		loop_signal(relay.loop, SIGHUP, reload, &relay);
		loop_after_turn(relay.loop, end_of_turn, &relay);
		relay.next_timer = loop_timer(relay.loop, next_session, &relay);
		timer_set(relay.next_timer, 0);
		status = loop_run(relay.loop);
	}
	relay_free(&relay);
	return status;
}
