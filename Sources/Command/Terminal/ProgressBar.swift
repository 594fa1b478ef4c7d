import Foundation

/// Says on standard error how far something long is: a bar on a terminal, else a line now and then.
struct ProgressBar {
    private static let redrawInterval: Duration = .milliseconds(100)
    private static let lineInterval: Duration = .seconds(10)
    private static let barWidth = 30

    private let what: String
    private let isTerminal: Bool
    private let isQuiet: Bool
    private let start = ContinuousClock.now
    private var nextDraw = ContinuousClock.now
    private var hasDrawn = false

    /// - Parameters:
    ///   - what: What is counted, in the plural.
    ///   - isQuiet: Whether it says nothing.
    init(_ what: String, isQuiet: Bool = false) {
        self.what = what
        self.isQuiet = isQuiet
        isTerminal = isatty(STDERR_FILENO) == 1
        if !isTerminal { nextDraw += Self.lineInterval }
    }

    /// Draws, unless it has a moment ago.
    ///
    /// - Parameters:
    ///   - count: How many are done.
    ///   - part: How much of the whole that is, from 0 to 1; `nil` when the whole is not known.
    ///   - detail: What else there is to say.
    mutating func show(_ count: Int, _ part: Double?, _ detail: String = "") {
        let now = ContinuousClock.now
        guard !isQuiet, now >= nextDraw else { return }
        nextDraw = now + (isTerminal ? Self.redrawInterval : Self.lineInterval)
        draw(count, part, detail)
    }

    /// Draws the end, and leaves the line; nothing when there was nothing to see before.
    mutating func end(_ count: Int, _ part: Double?, _ detail: String = "") {
        guard !isQuiet, hasDrawn || isTerminal else { return }
        draw(count, part, detail)
        if isTerminal { write("\n") }
    }

    private mutating func draw(_ count: Int, _ part: Double?, _ detail: String) {
        hasDrawn = true
        let seconds = max(start.duration(to: .now) / .seconds(1), 0.001)
        var text = "\(count.formatted(.number.locale(Self.locale))) \(what)"
        text += "  \(Int(Double(count) / seconds).formatted(.number.locale(Self.locale)))/s"
        if let part, part > 0, part < 1 { text += "  \(Self.short(seconds / part * (1 - part))) left" }
        if !detail.isEmpty { text += "  \(detail)" }
        let percent = part.map { "\(Int(($0 * 100).rounded(.down))) %" }
        guard isTerminal else { return write((percent.map { "\($0)  " } ?? "") + text + "\n") }
        var line = "\r"
        if let part, let percent {
            let filled = Int((part * Double(Self.barWidth)).rounded(.down))
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.barWidth - filled)
            line += "\(bar) \(String(repeating: " ", count: max(0, 5 - percent.count)))\(percent)  "
        }
        write(line + text + "\u{1B}[K")
    }

    private static let locale = Locale(identifier: "en_US")

    private static func short(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
