import ArgumentParser
import Holdfast

/// The command `holdfast jobs`.
struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Submit, list, show, wait for, cancel and retry jobs.",
        discussion: """
            All of it is done in the database, and needs nothing else: HOLDFAST_DATABASE_URL, or --database-url.

            Examples:
              holdfast jobs submit invoice:42 '{"number": 42}' --kind sendInvoice
              holdfast jobs submit --file jobs.ndjson
              holdfast jobs wait "$(holdfast jobs submit demo A)"
              holdfast jobs list --state failed --queue invoices
              holdfast jobs retry --failed --queue invoices

            \(ExitCodes.help)
            """,
        subcommands: [
            SubmitJobs.self, ListJobs.self, ShowJob.self, WaitForJobs.self, CancelJobs.self, RetryJobs.self,
        ]
    )
}

/// What a command's exit status means to a script.
enum ExitCodes {
    /// A job failed or was cancelled, or the command could not be carried out.
    static let failure = ExitCode(1)
    /// The time was up first.
    static let timeout = ExitCode(2)

    static let help = """
        Exit status: 0 done; 1 a job that was waited for failed or was cancelled, or the command could not be carried \
        out, and says why on standard error; 2 the time of --timeout was up first; 64 it was not understood.
        """
}

extension JobID: ExpressibleByArgument {
    package init?(argument: String) {
        guard let number = Int64(argument), number > 0 else { return nil }
        self.init(number)
    }
}
