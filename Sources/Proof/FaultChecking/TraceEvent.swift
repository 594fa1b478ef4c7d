/// One line of the trace that a task writes for itself.
package struct TraceEvent: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// The task's first line.
        case begun
        /// It was at work.
        case worked
        /// The fenced write took effect.
        case wrote
        /// The fence turned it away.
        case refused
        /// The task's last line, when it came to its end.
        case ended
    }

    package var kind: Kind
    package var process: Int32
    package var job: Int64
    package var fence: Int64
    package var atNanoseconds: Int64
    /// Whether it ignores its cancellation, as a task should not: only the fence guards what it writes.
    package var isStubborn: Bool
    package var key: String

    package init(
        _ kind: Kind,
        process: Int32 = 1,
        job: Int64,
        fence: Int64,
        atNanoseconds: Int64,
        isStubborn: Bool = false,
        key: String
    ) {
        self.kind = kind
        self.process = process
        self.job = job
        self.fence = fence
        self.atNanoseconds = atNanoseconds
        self.isStubborn = isStubborn
        self.key = key
    }

    /// As it is written to a file.
    package var line: String {
        "\(kind.rawValue) \(process) \(job) \(fence) \(atNanoseconds) \(isStubborn ? 1 : 0) \(key)\n"
    }

    /// Reads lines; a last one that was cut off is left out.
    package static func parse(_ text: String) -> [TraceEvent] {
        let end = text.lastIndex(of: "\n") ?? text.startIndex
        return text[..<end].split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 6)
            guard words.count == 7, let kind = Kind(rawValue: String(words[0])), let process = Int32(words[1]),
                let job = Int64(words[2]), let fence = Int64(words[3]), let at = Int64(words[4])
            else { return nil }
            return TraceEvent(
                kind,
                process: process,
                job: job,
                fence: fence,
                atNanoseconds: at,
                isStubborn: words[5] == "1",
                key: String(words[6])
            )
        }
    }
}
