import ArgumentParser
import Foundation
import LocalStack
import UnixSignals

/// The command `holdfast dev`.
struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run everything on this machine: PostgreSQL, three Redis nodes, an intake and two workers.",
        discussion: """
            The servers are private: on loopback or Unix sockets only, on free ports, with their data in one folder. \
            Ctrl-C stops them all; the data is there the next time.

            When a lock node ends, the rest goes on: two of three are a quorum. SIGUSR1 starts it again.

            The servers' programs are the installed ones. HOLDFAST_POSTGRES_BIN names the folder of another PostgreSQL's.

            Examples:
              holdfast dev
              holdfast dev --demo
              holdfast dev --ephemeral --json --port 0
            """
    )

    @Option(help: "The intake's port; 0 takes any.")
    var port = 3000

    @Option(name: .customLong("data-folder"), help: "Where all data is kept.")
    var dataFolder = ".holdfast"

    @Flag(help: "Use a folder that is thrown away at the end.")
    var ephemeral = false

    @Flag(help: "Print one line of JSON when all is ready, and nothing else, on standard output.")
    var json = false

    @Flag(help: "Submit the story: two clients write one key at once. Prints what happens as it happens.")
    var demo = false

    @Option(help: "How many workers.")
    var workers = 2

    @Option(name: .customLong("log-level"), help: "Of the intake and the workers; debug shows each job.")
    var logLevel = "info"

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port must be from 0 to 65535.") }
        guard (1...64).contains(workers) else { throw ValidationError("--workers must be from 1 to 64.") }
    }

    func run() async throws {
        LocalProcess.endAllAtExit()
        // It ends in order when nobody reads what it prints.
        signal(SIGPIPE, SIG_IGN)
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup, .sigusr1)
        let folder = ephemeral ? Self.temporaryFolder() : URL(fileURLWithPath: dataFolder).path
        defer { if ephemeral { try? FileManager.default.removeItem(atPath: folder) } }  // What is left is in /tmp.
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        let stack = DevStack(
            folder: folder,
            port: port,
            workers: workers,
            logLevel: logLevel,
            progress: Progress(isQuiet: json)
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stack.run { ready in try await show(ready) } }
            group.addTask {
                for await signal in signals {
                    guard signal != .sigusr1 else {
                        stack.reviveNodes()
                        continue
                    }
                    // The first ends it in order; whoever asks again does not want to wait.
                    if stack.isStopping { Foundation.exit(130) }
                    stack.stop()
                }
            }
            group.addTask {
                // Of a script that has read its line of JSON, nothing more is to be expected on standard output.
                await OutputWatch.readerHasGone(of: json ? [STDERR_FILENO] : [STDOUT_FILENO, STDERR_FILENO])
                guard !Task.isCancelled else { return }
                stack.stop()
                // It is the stack that ends the group.
                try await Task.sleep(for: .seconds(86_400))
            }
            // The stack ends by itself, once it is asked to or when a part of it has failed.
            try await group.next()
            group.cancelAll()
        }
    }

    private func show(_ ready: DevStack.Ready) async throws {
        let text = json ? try ready.json() : ready.description
        try? Output.write(text + "\n")  // When nobody reads it any more, the stack ends.
        if demo { try await Demo(ready).run() }
    }

    private static func temporaryFolder() -> String {
        "\(NSTemporaryDirectory())/holdfast-\(UUID().uuidString.prefix(8).lowercased())".replacing("//", with: "/")
    }
}
