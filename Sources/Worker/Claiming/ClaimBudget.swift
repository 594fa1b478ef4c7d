import Holdfast

/// How much a worker claims at once: with its runs, about as many jobs as it may have at hand.
///
/// Jobs of a run follow each other, so a slot that has a run of brief ones serves many in a moment. More of those runs at
/// once only wait for each other: each then ends for its time before its jobs are through, and its line is claimed again,
/// with the same jobs. Lines with one job each, or with long ones, take all slots.
struct ClaimBudget {
    /// How many jobs there may be at hand for each slot.
    private static let jobsPerSlot = 2
    /// So many lines may run whatever their jobs: those at hand may be stuck behind one.
    private static let linesAtLeast = 32
    /// The fewest jobs of a line that are asked for, if its worker allows as many.
    private static let runAtLeast = 8
    /// A run's declared durations while lines wait for slots: none keeps its slot for long.
    private static let shortRun: Duration = .milliseconds(100)

    private let slots: Int
    /// The most jobs of one line.
    private let runLimit: Int
    private let runTimeSlice: Duration
    /// How many jobs a line had of late; the first claim is careful.
    private var jobsPerLine = 32.0
    /// How many lines the last claim brought that brought any.
    private var lines = 32
    private var isContended = false

    init(_ configuration: WorkerConfiguration) {
        slots = configuration.slots
        runLimit = configuration.runLimit
        runTimeSlice = configuration.runTimeSlice
    }

    /// What a claim may have.
    struct Share: Equatable {
        let lines: Int
        let runLimit: Int
        let runDuration: Duration
    }

    /// What the next claim may have.
    ///
    /// - Parameters:
    ///   - free: How many slots are free.
    ///   - running: How many lines run.
    ///   - jobs: How many jobs there are at hand, of runs that have their time still.
    ///   - limit: The most lines in one claim.
    /// - Returns: `nil` for nothing, until a run has ended.
    func next(free: Int, running: Int, jobs: Int, limit: Int) -> Share? {
        let left = Double(slots * Self.jobsPerSlot - jobs) / jobsPerLine
        let most = min(free, limit, max(Int(left), Self.linesAtLeast - running))
        guard most > 0 else { return nil }
        // Of as many lines as came last time, runs that fill the slots; should all come that may, not too many jobs.
        let run = min(2 * slots * Self.jobsPerSlot / min(lines, most), 16 * slots * Self.jobsPerSlot / most)
        return Share(
            lines: most,
            runLimit: min(runLimit, max(Self.runAtLeast, run)),
            runDuration: isContended ? min(Self.shortRun, runTimeSlice) : runTimeSlice
        )
    }

    /// Learns from a claim that was made.
    mutating func claimed(lines: Int, jobs: Int, of share: Share) {
        isContended = lines == share.lines
        guard lines > 0 else { return }
        self.lines = lines
        jobsPerLine = (jobsPerLine + max(1, Double(jobs) / Double(lines))) / 2
    }
}
