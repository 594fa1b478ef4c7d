package import Foundation
import Synchronization

/// One process that this process started, in a process group of its own: a terminal's Ctrl-C does not reach it.
package final class LocalProcess: Sendable {
    private struct State {
        var status: Int32?
        var waiting: [UUID: CheckedContinuation<Void, Never>] = [:]
    }

    /// What is killed when this program ends without having stopped it; the signal for each process id.
    private static let running = Mutex<[pid_t: Int32]>([:])

    package let pid: pid_t
    private let state: Shared

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: The executable's path.
    ///   - arguments: Its arguments.
    ///   - launcher: The command that runs it, as the same process, such as `["/usr/bin/nice"]`.
    ///   - environment: Added to this process' own.
    ///   - output: Receives both standard output and standard error; `nil` lets it share this process' own.
    ///   - signalAtExit: Sent when this program exits and the other still runs.
    /// - Throws: ``LocalStackError`` when it cannot be started.
    package init(
        _ program: URL,
        _ arguments: [String],
        launcher: [String] = [],
        environment: [String: String] = [:],
        output: FileHandle? = nil,
        signalAtExit: Int32 = SIGKILL
    ) throws {
        pid = try Spawn.spawn(
            launcher + [program.path] + arguments,
            environment: ProcessInfo.processInfo.environment.merging(environment) { $1 },
            output: output?.fileDescriptor
        )
        state = Shared()
        Self.running.withLock { $0[pid] = signalAtExit }
        // A thread of its own: waiting blocks, and the cooperative pool's threads must not.
        Thread.detachNewThread { [pid, state] in
            let status = Spawn.waitForExit(of: pid) {
                _ = Self.running.withLock { $0.removeValue(forKey: pid) }
            }
            let waiting = state.state.withLock { state in
                state.status = status
                defer { state.waiting = [:] }
                return state.waiting
            }
            for continuation in waiting.values { continuation.resume() }
        }
    }

    /// The exit status, or the negated signal that ended it; `nil` while it runs.
    package var exitStatus: Int32? { state.state.withLock(\.status) }

    package var isRunning: Bool { exitStatus == nil }

    /// Sends a signal, if it still runs.
    package func signal(_ signal: Int32) {
        // Entered until just before it is reaped: the id is still its own.
        Self.running.withLock { running in
            if running[pid] != nil { _ = kill(pid, signal) }
        }
    }

    /// Waits until it has ended, or the task is cancelled.
    package func waitForExit() async {
        let id = UUID()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.state.withLock { state in
                    guard state.status == nil, !Task.isCancelled else { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
    }

    /// Waits until it has ended.
    ///
    /// - Returns: Whether it ended within `limit`.
    package func waitForExit(within limit: Duration) async -> Bool {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForExit() }
            group.addTask { try? await Task.sleep(for: limit) }  // Cancelled: the other task was first.
            await group.next()
            group.cancelAll()
        }
        return !isRunning
    }

    /// Asks it to end with `signal`, and kills it when it has not ended within `limit`.
    package func end(with signal: Int32, within limit: Duration = .seconds(10)) async {
        self.signal(signal)
        // A task of its own: what was started is ended for a cancelled caller too.
        await Task {
            guard await !waitForExit(within: limit) else { return }
            self.signal(SIGKILL)
            _ = await waitForExit(within: limit)
        }.value
    }

    /// Makes this program's exit end every process that it started and did not stop.
    package static func endAllAtExit() { atexit { LocalProcess.endAll() } }

    /// Ends every process that this program started and did not stop; blocks until they are gone, or for 3 s.
    package static func endAll() {
        for (pid, signal) in running.withLock({ $0 }) {
            _ = kill(pid, SIGCONT)
            // Who is killed cannot end what it started itself.
            _ = kill(signal == SIGKILL ? -pid : pid, signal)
        }
        // Who runs after this may remove their folders.
        for _ in 0..<300 where !running.withLock(\.isEmpty) { usleep(10_000) }
    }
}
