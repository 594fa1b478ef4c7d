import ArgumentParser
import Foundation
import Postgres

@main
struct HoldfastCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "A durable job queue whose tasks are guarded by locks.",
        discussion: """
            Clients submit jobs over HTTP; each names a key. PostgreSQL stores them. Workers run the jobs of each key one \
            at a time, in the order of submission, under a Redlock on the key, and record every hold.

            Try it, on this machine alone:
              holdfast dev --demo

            Run the parts by themselves:
              export HOLDFAST_DATABASE_URL='postgresql://holdfast@db/holdfast'
              export HOLDFAST_LOCK_NODES='redis://r1:6379,redis://r2:6379,redis://r3:6379'
              holdfast migrate
              holdfast serve --port 3000
              holdfast work

            Work with it (each has its --help, and --json for scripts):
              holdfast jobs submit demo A
              holdfast jobs list
              holdfast top

            Every setting is a flag, an environment variable, or a line of a configuration file; the first of these that \
            gives it counts. One that cannot be used, or that there is none of, ends the program with status 78, as does \
            a database that refuses it for good; 64 is for a command that was not understood. Completions for your shell: holdfast --generate-completion-script bash (or zsh, fish).
            """,
        subcommands: [
            Dev.self, Serve.self, Work.self, Migrate.self, Jobs.self, Queues.self, Workers.self, Nodes.self, Top.self,
            Doctor.self, Tokens.self, AuditCommand.self, History.self,
        ]
    )
}

extension HoldfastCommand {
    /// Runs the command that was given; a setting that cannot be used ends it with a status of its own.
    static func main() async {
        // The kernel ignores a signal to the first process of a container, unless it is handled.
        if getpid() == 1 { for number in [SIGTERM, SIGINT] { signal(number) { _exit(128 + $0) } } }
        atexit { LineWriter.standardError.flush() }
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as InvalidSetting {
            end("\(error)")
        } catch let error as PostgresError where error.asksForChange {
            end("\(error)")
        } catch let error as CocoaError {
            LineWriter.standardError.flush()
            exit(withError: CommandFailure(error.inWords))
        } catch {
            LineWriter.standardError.flush()
            exit(withError: error)
        }
    }

    private static func end(_ reason: String) -> Never {
        LineWriter.standardError.flush()
        FileHandle.standardError.write(Data("Error: \(reason)\n".utf8))
        Foundation.exit(InvalidSetting.exitStatus)
    }
}
