/* Calls in situations that real programs come into seldom: see calls.rs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int client, server, listener;

/* A connection to ourselves. */
static void pair(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (void *)&a, n);
	listen(listener, 1);
	getsockname(listener, (void *)&a, &n);
	client = socket(AF_INET, SOCK_STREAM, 0);
	connect(client, (void *)&a, n);
	server = accept(listener, NULL, NULL);
	if (server < 0)
		exit(99);
}

/* Written by the handler: it has run. */
static int handled[2];
static void handler(int signal)
{
	(void)signal;
	if (write(handled[1], "", 1) != 1)
		_exit(97);
}

static void on(int signal, int flags, void (*f)(int))
{
	struct sigaction s = { .sa_handler = f, .sa_flags = flags };
	sigaction(signal, &s, NULL);
}

/* Waits until our parent sleeps: it does so only in the call that it is to be
   interrupted in, whenever a busy machine lets it get there. */
static void until_parent_sleeps(void)
{
	char path[40], line[200], state;
	snprintf(path, sizeof(path), "/proc/%d/stat", getppid());
	for (int seen = 0; seen < 3; usleep(5000)) {
		FILE *f = fopen(path, "r");
		if (!f || !fgets(line, sizeof(line), f) || sscanf(strrchr(line, ')'), ") %c", &state) != 1)
			_exit(96);
		fclose(f);
		seen = state == 'S' ? seen + 1 : 0;
	}
}

/* A child that signals us when we wait, and then again. */
static void signal_me(int first, int second)
{
	if (fork() == 0) {
		until_parent_sleeps();
		kill(getppid(), first);
		usleep(100000);
		if (second)
			kill(getppid(), second);
		_exit(0);
	}
}

/* poll() that is stopped and goes on: restart_syscall(). */
static void stopped(void)
{
	struct pollfd p = { .fd = client, .events = POLLIN };
	signal_me(SIGSTOP, SIGCONT);
	printf("poll %d\n", poll(&p, 1, 1500));
}

static void interrupted(void)
{
	char b[1];
	on(SIGUSR1, 0, handler);
	signal_me(SIGUSR1, 0);
	int n = recv(client, b, 1, 0);
	printf("recv %d %s\n", n, strerror(errno));
}

static void restarted(void)
{
	char b[1];
	on(SIGUSR1, SA_RESTART, handler);
	if (fork() == 0) {
		until_parent_sleeps();
		kill(getppid(), SIGUSR1);
		if (read(handled[0], b, 1) != 1)
			_exit(95);
		until_parent_sleeps();
		send(server, "x", 1, 0);
		_exit(0);
	}
	printf("recv %zd\n", recv(client, b, 1, 0));
}

/* A handler that makes a call on a socket of its own. */
static void send_one(int signal)
{
	(void)signal;
	send(server, "x", 1, 0);
}

static void nested(void)
{
	char b[1];
	on(SIGUSR1, SA_RESTART, send_one);
	signal_me(SIGUSR1, 0);
	printf("recv %zd\n", recv(client, b, 1, 0));
}

static jmp_buf away;
static void jump(int signal)
{
	(void)signal;
	siglongjmp(away, 1);
}

static void jumped(void)
{
	char b[1];
	on(SIGUSR1, 0, jump);
	signal_me(SIGUSR1, 0);
	if (sigsetjmp(away, 1) == 0)
		recv(client, b, 1, 0);
	send(server, "x", 1, 0);
	printf("recv %zd\n", recv(client, b, 1, 0));
}

static void *execute(void *path)
{
	char *argv[] = { path, "exit", "4", NULL };
	dup2(client, 50);
	execv(path, argv);
	return NULL;
}

static void io_uring(void)
{
	char parameters[120] = { 0 };
	long fd = syscall(SYS_io_uring_setup, 8, parameters);
	printf("io_uring_setup %ld %s\n", fd, strerror(errno));
}

/* A sandbox of our own: getppid() is refused, everything else allowed. */
static void sandbox(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { .len = 4, .filter = f };
	char b[1];
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
		exit(98);
	printf("getppid %ld\n", syscall(SYS_getppid));
	send(server, "x", 1, 0);
	printf("recv %zd\n", recv(client, b, 1, 0));
}

/* A reset, seen by every way to wait. */
static void reset(void)
{
	struct linger l = { .l_onoff = 1 };
	struct pollfd p = { .fd = client, .events = POLLIN };
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 0x123456789abcdefULL };
	fd_set set;
	char b[1];
	int epoll = epoll_create1(EPOLL_CLOEXEC), error = 0;
	socklen_t n = sizeof(error);
	epoll_ctl(epoll, EPOLL_CTL_ADD, client, &e);
	setsockopt(server, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(server);
	poll(&p, 1, 1000);
	FD_ZERO(&set);
	FD_SET(client, &set);
	select(client + 1, &set, NULL, NULL, NULL);
	epoll_wait(epoll, &e, 1, -1);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &n);
	printf("error %d\n", error);
	send(client, "x", 1, MSG_NOSIGNAL);
	recv(client, b, 1, 0);
}

/* The socket goes to a child by a message and is closed here before it arrives. */
static void pass(void)
{
	int s[2], fd = client;
	char data = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { &data, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	if (fork() == 0) {
		close(client);
		usleep(200000);
		recvmsg(s[1], &m, 0);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
		dup2(fd, 60);
		send(60, "y", 1, 0);
		_exit(0);
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	sendmsg(s[0], &m, 0);
	close(client);
	recv(server, &data, 1, 0);
	printf("recv %c\n", data);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	pair();
	if (pipe(handled))
		return 94;
	if (!strcmp(what, "stopped")) stopped();
	if (!strcmp(what, "interrupted")) interrupted();
	if (!strcmp(what, "restarted")) restarted();
	if (!strcmp(what, "nested")) nested();
	if (!strcmp(what, "jumped")) jumped();
	if (!strcmp(what, "io_uring")) io_uring();
	if (!strcmp(what, "sandbox")) sandbox();
	if (!strcmp(what, "reset")) reset();
	if (!strcmp(what, "pass")) pass();
	if (!strcmp(what, "exec_thread")) {
		pthread_t t;
		pthread_create(&t, NULL, execute, argv[0]);
		pthread_join(t, NULL);
	}
	while (wait(NULL) > 0) {}
	return 0;
}
