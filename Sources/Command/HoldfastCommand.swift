import ArgumentParser

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
            gives it counts. Completions for your shell: holdfast --generate-completion-script bash (or zsh, fish).
            """,
        subcommands: [
            Dev.self, Serve.self, Work.self, Migrate.self, Jobs.self, Queues.self, Workers.self, Nodes.self, Top.self,
            Doctor.self, Tokens.self, AuditCommand.self, History.self,
        ]
    )
}
