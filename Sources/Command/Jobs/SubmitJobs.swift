import ArgumentParser
import Holdfast
import Intake
import Logging
import Postgres

/// The command `holdfast jobs submit`.
struct SubmitJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Submit a job, or all those of a file.",
        discussion: """
            A job is stored once its number is printed. A file has a JSON object a line, with the fields that POST \
            /v1/jobs/batch takes; it is stored in batches, in its order, and where it cannot go on it says with which \
            line to. Jobs that have an idempotencyKey may be submitted again.

            Examples:
              holdfast jobs submit demo A
              holdfast jobs submit invoice:42 '{"number": 42}' --kind sendInvoice --priority 0
              holdfast jobs submit demo A --wait --timeout 60
              holdfast jobs submit --file jobs.ndjson --from-line 4001
              zcat jobs.ndjson.gz | holdfast jobs submit --file - --ids > numbers

            \(ExitCodes.help)
            """
    )

    @Argument(help: "The resource that it is about: its lock's name.") var key: String?
    @Argument(help: "What its task is given.") var value: String?
    @Option(help: ArgumentHelp("Submit the jobs of this file; - is standard input.", valueName: "ndjson"))
    var file: String?
    @Option(name: .customLong("from-line"), help: "Pass over what is before this line of the file.")
    var fromLine = 1
    @Flag(help: "Print the number of each job of the file.") var ids = false
    @Flag(help: "Wait until they have finished.") var wait = false
    @Option(help: ArgumentHelp("How long to wait. Default: without end.", valueName: "seconds")) var timeout: Int?
    @Flag(help: "Print each job as an object of JSON on a line.") var json = false
    @OptionGroup(title: "The job") var options: NewJobOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if file == nil {
            guard let key, let value else { throw ValidationError("Give a key and a value, or --file.") }
            _ = try options.job(key, value)
            guard fromLine == 1, !ids else { throw ValidationError("--from-line and --ids are for --file.") }
        } else {
            guard key == nil, !options.isGiven else {
                throw ValidationError("With --file, the file says all of its jobs: give no key, value or flag of one.")
            }
            guard fromLine >= 1 else { throw ValidationError("--from-line must be 1 or more.") }
        }
        try JobWait.validate(timeout)
    }

    func run() async throws {
        try await common.withPool("jobs") { pool, logger in
            let store = JobStore(pool: pool)
            let wakeups = Wakeups(pool: pool, logger: logger)
            let submissions = Submissions(store: store, wakeups: wakeups)
            var stored: [JobID] = []
            if let file {
                var bulk = BulkSubmission(submissions: submissions, wakeups: wakeups, fromLine: fromLine)
                let count = try await bulk.submit(try Self.open(file)) { jobs, receipts in
                    if wait { stored += receipts.map(\.id) }
                    guard ids || json else { return }
                    try Output.write(lines: zip(jobs, receipts).map { json ? Self.json($0, $1) : "\($1.id)" })
                }
                if !ids, !json { try Output.write(lines: ["\(count) jobs are stored."]) }
            } else if let key, let value {
                let job = try options.job(key, value)
                let receipt = try await submissions.submitWhole([job])[0]
                await wakeups.flush()
                stored = [receipt.id]
                if !wait || !json { try Output.write(lines: [json ? Self.json(job, receipt) : "\(receipt.id)"]) }
            }
            guard wait else { return }
            // On standard error, so that standard output has what was asked for.
            try await JobWait(store: store, timeout: timeout).wait(for: stored) { report in
                if json, file == nil, let job = try await store.find(stored[0]) {
                    try Output.write(lines: [JobJSON.text(of: job)])
                } else {
                    report.tell()
                }
            }
        }
    }

    private static func json(_ job: NewJob, _ receipt: JobReceipt) -> String { JobJSON.text(of: Job(job, receipt)) }

    private static func open(_ path: String) throws -> InputFile {
        do {
            return try InputFile(path)
        } catch {
            throw ValidationError("--file: \(path) cannot be read: \(error).")
        }
    }
}
