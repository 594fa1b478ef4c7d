import Foundation

/// posix_spawn, with what Foundation's `Process` leaves out: the threads of Dispatch and of Swift's concurrency block
/// signals, a child inherits that, and a server that blocks SIGTERM cannot be stopped.
enum Spawn {
    /// Starts a program in a process group of its own, its standard input empty, all signals at their defaults.
    ///
    /// - Parameters:
    ///   - command: The executable's path, then its arguments.
    ///   - environment: The whole of its environment.
    ///   - output: A descriptor for both standard output and standard error; `nil` shares ours.
    /// - Returns: Its process id.
    /// - Throws: ``LocalStackError`` when it cannot be started.
    static func spawn(_ command: [String], environment: [String: String], output: Int32?) throws -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP)
        )

        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        if let output {
            posix_spawn_file_actions_adddup2(&files, output, 1)
            posix_spawn_file_actions_adddup2(&files, output, 2)
        }
        // NIO's sockets are not closed on exec: a server that had them would keep our connections open after we close them.
        for descriptor in 3...max(3, highestDescriptor()) { posix_spawn_file_actions_addclose(&files, descriptor) }

        let arguments = command.map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for string in arguments + variables { free(string) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, command[0], &files, &attributes, arguments + [nil], variables + [nil])
        guard code == 0 else {
            throw LocalStackError(
                code: .notReady,
                description: "cannot start \(command[0]): \(String(cString: strerror(code)))"
            )
        }
        return pid
    }

    private static func highestDescriptor() -> Int32 {
        // Without /proc, what a process usually may open.
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        return names?.compactMap { Int32($0) }.max() ?? 1023
    }

    /// Blocks until the process has ended.
    ///
    /// - Parameters:
    ///   - pid: A child of this process.
    ///   - willReap: Called when it has ended and its id is still its own.
    /// - Returns: The exit status, or the negated signal that ended it.
    static func waitForExit(of pid: pid_t, willReap: () -> Void) -> Int32 {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        willReap()
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : -signal
    }
}
