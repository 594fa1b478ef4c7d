import ArgumentParser
import Foundation
import LocalStack

/// Redis' own load generator, for the ceiling.
enum RedisBenchmark {
    /// How many cycles of the lock's two commands it drives a second, on all nodes at once.
    ///
    /// - Parameters:
    ///   - servers: Each is driven by a process of its own.
    ///   - cycles: How many for each node.
    ///   - inFlight: How many commands are in flight on the one connection to each node.
    ///   - release: The hash of the script that releases a lock; the nodes know it.
    /// - Returns: Cycles a second, from the time that both commands took one after the other.
    /// - Throws: `ValidationError` when redis-benchmark fails; `CancellationError`.
    static func cyclesPerSecond(
        _ servers: [RedisServer],
        cycles: Int,
        inFlight: Int,
        release: String
    ) async throws -> Double {
        let token = "0123456789abcdef0123456789abcdef"
        let load = ["-n", "\(cycles)", "-c", "1", "-P", "\(inFlight)", "-r", "\(cycles)", "-q"]
        let name = "locks:bench-__rand_int__"
        let acquire = try await time(servers, load + ["SET", name, token, "NX", "PX", "20000"])
        let end = try await time(servers, load + ["EVALSHA", release, "1", name, token])
        return Double(cycles) / (acquire + end)
    }

    private static func time(_ servers: [RedisServer], _ arguments: [String]) async throws -> Double {
        let start = ContinuousClock.now
        let program = try ServerProgram.redisBenchmark.locate()
        guard let output = FileHandle(forWritingAtPath: "/dev/null") else { throw ExitCode.failure }
        let processes = try servers.map { server in
            try LocalProcess(program, ["-p", "\(server.port)"] + arguments, output: output)
        }
        for process in processes {
            await process.waitForExit()
            guard !Task.isCancelled else {
                for process in processes { await process.end(with: SIGKILL) }
                throw CancellationError()
            }
            guard process.exitStatus == 0 else { throw ValidationError("redis-benchmark failed") }
        }
        return start.duration(to: .now).seconds
    }
}
