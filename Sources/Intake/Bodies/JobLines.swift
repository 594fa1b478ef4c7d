package import Holdfast

/// Reads jobs from NDJSON as its bytes come in: a line is a job as a batch of the API has it.
package struct JobLines: ~Copyable {
    /// A line that is no job.
    package struct Bad: Error, CustomStringConvertible {
        /// From 1.
        package let line: Int
        package let detail: String

        package var description: String { "line \(line): \(detail)" }
    }

    private var splitter = ItemSplitter(.lines, itemLimit: IntakeContext.bodyLimit)
    /// Lines that have been read, blank ones included.
    package private(set) var count = 0

    package init() {}

    /// Takes bytes in.
    ///
    /// - Parameters:
    ///   - bytes: Of any number.
    ///   - each: Gets the number of each line that they complete, from 1, and its job; `nil` for a blank line.
    /// - Throws: ``Bad``.
    package mutating func add(_ bytes: some Sequence<UInt8>, _ each: (Int, NewJob?) -> Void) throws {
        var count = count
        defer { self.count = count }
        do {
            try splitter.add(bytes) { try Self.take($0, &count, each) }
        } catch ItemSplitter.Failure.tooLong {
            throw Bad(line: count + 1, detail: "it has more than \(IntakeContext.bodyLimit) bytes")
        }
    }

    /// Ends the input.
    ///
    /// - Throws: ``Bad``.
    package mutating func finish(_ each: (Int, NewJob?) -> Void) throws {
        var count = count
        defer { self.count = count }
        try splitter.finish { try Self.take($0, &count, each) }
    }

    private static func take(_ line: [UInt8], _ count: inout Int, _ each: (Int, NewJob?) -> Void) throws {
        let number = count + 1
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) {
            each(number, nil)
        } else {
            do {
                each(number, try JobJSON.job(line))
            } catch {
                throw Bad(line: number, detail: "\(error)")
            }
        }
        count = number
    }
}
