/*
 * bench/responder.c
 *
 * An HTTP endpoint that answers 200 to everything as fast as one thread can,
 * and knows when it was asked what.
 *
 *	responder PORT_FILE LOG_FILE
 *
 * The kernel chooses the port.  GET /log writes "message-id microseconds" of
 * each POST since the last GET /log to LOG_FILE, in the order in which they
 * were answered, and answers with how many there were and the times of the
 * first and the last of them.  GET /count only says so.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_MAX (2 * 1024 * 1024) /* a whole request */
#define CLIENTS_MAX 4096

typedef struct Client
{
	size_t len;
	char buffer[BUFFER_MAX + 1];
} Client;

typedef struct Arrival
{
	int64_t id;
	int64_t time_us;
} Arrival;

static Client *clients[CLIENTS_MAX]; /* by descriptor */
static Arrival *arrivals;
static size_t narrivals;
static size_t room;
static const char *log_path;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
arrival_add(int64_t id)
{
	if (narrivals == room)
	{
		room = room * 2 + 65536;
		arrivals = realloc(arrivals, room * sizeof(*arrivals));
		if (arrivals == NULL)
			die("realloc");
	}
	arrivals[narrivals++] = (Arrival){id, wall_us()};
}

static void
arrivals_write(void)
{
	FILE *file = fopen(log_path, "w");

	if (file == NULL)
		die(log_path);
	for (size_t i = 0; i < narrivals; i++)
		fprintf(file, "%" PRId64 " %" PRId64 "\n", arrivals[i].id,
				arrivals[i].time_us);
	if (fclose(file) != 0)
		die(log_path);
}

static void
send_all(int fd, const char *data, size_t len)
{
	/* Short against a socket buffer: a client that does not read is over. */
	if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t) len)
		shutdown(fd, SHUT_RDWR);
}

static void
answer_count(int fd)
{
	char body[100];
	char answer[200];
	int n;

	n = snprintf(body, sizeof(body), "%zu %" PRId64 " %" PRId64 "\n", narrivals,
				 narrivals ? arrivals[0].time_us : 0,
				 narrivals ? arrivals[narrivals - 1].time_us : 0);
	n = snprintf(answer, sizeof(answer),
				 "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
	send_all(fd, answer, (size_t) n);
}

/* header_value: of a name with its colon; -1 when it is not there. */
static int64_t
header_value(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at == NULL ? -1 : strtoll(at + strlen(name), NULL, 10);
}

/* serve: answers the request at the start, if it is whole; its length. */
static size_t
serve(int fd, char *request, size_t len)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	char *end = memmem(request, len, "\r\n\r\n", 4);
	int64_t length;
	size_t whole;

	if (end == NULL)
		return 0;
	*end = '\0';
	length = header_value(request, "\r\nContent-Length:");
	whole = (size_t) (end - request) + 4 + (length > 0 ? (size_t) length : 0);
	*end = '\r';
	if (whole > len)
		return 0;
	if (strncmp(request, "POST", 4) == 0)
	{
		*end = '\0';
		arrival_add(header_value(request, "\r\nOutbox-Message-Id:"));
		send_all(fd, good, sizeof(good) - 1);
		return whole;
	}
	if (strncmp(request, "GET /log", 8) != 0)
	{
		answer_count(fd);
		return whole;
	}
	/* Who is answered may read the file. */
	arrivals_write();
	answer_count(fd);
	narrivals = 0;
	return whole;
}

static void
client_close(int fd)
{
	free(clients[fd]);
	clients[fd] = NULL;
	close(fd);
}

static void
client_read(int fd)
{
	Client *client = clients[fd];
	ssize_t got =
		recv(fd, client->buffer + client->len, BUFFER_MAX - client->len, 0);
	size_t done = 0;
	size_t n;

	if (got <= 0)
	{
		client_close(fd);
		return;
	}
	client->len += (size_t) got;
	while (done < client->len &&
		   (n = serve(fd, client->buffer + done, client->len - done)) > 0)
		done += n;
	client->len -= done;
	memmove(client->buffer, client->buffer + done, client->len);
	if (client->len == BUFFER_MAX)
		client_close(fd);
}

static void
client_accept(int epoll, int listener)
{
	struct epoll_event event = {.events = EPOLLIN};
	int one = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (fd >= CLIENTS_MAX || (clients[fd] = calloc(1, sizeof(Client))) == NULL)
	{
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event.data.fd = fd;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int
listen_anywhere(const char *port_file)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[4096];
	FILE *file;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, len) != 0 ||
		listen(fd, 1024) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &len) != 0)
		die("listen");
	snprintf(path, sizeof(path), "%s.new", port_file);
	file = fopen(path, "w");
	if (file == NULL || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 ||
		fclose(file) != 0 || rename(path, port_file) != 0)
		die(port_file);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener;

	if (argc != 3 || epoll < 0)
		return 2;
	log_path = argv[2];
	listener = listen_anywhere(argv[1]);
	event.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;)
	{
		int n = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.fd == listener)
				client_accept(epoll, listener);
			else
				client_read(events[i].data.fd);
		}
	}
}
