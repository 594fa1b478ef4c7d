/// A job's number; within a key, lower means submitted earlier.
package struct JobID: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: Int64
    package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package var description: String { String(rawValue) }
}

/// A worker process' number; never used twice.
package struct WorkerID: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: Int64
    package init(_ rawValue: Int64) { self.rawValue = rawValue }
    package var description: String { String(rawValue) }
}
