import ArgumentParser
import Holdfast

/// The flags that say which jobs are meant.
struct JobFilterOptions: ParsableArguments {
    @Option(help: "Only of this key.") var key: String?
    @Option(help: "Only in this queue.") var queue: String?
    @Option(help: "Only of this kind.") var kind: String?

    /// The filter, without states and bounds.
    var filter: JobFilter {
        var filter = JobFilter()
        filter.key = key
        filter.queue = queue
        filter.kind = kind
        return filter
    }

    var isGiven: Bool { key != nil || queue != nil || kind != nil }
}
