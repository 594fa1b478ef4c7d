extension Duration {
    /// In its two largest units, for people: `3 min 20 s`.
    var short: String {
        let seconds = max(0, Int(self / .seconds(1)))
        return switch seconds {
        case ..<10: "\(seconds).\(max(0, Int(self / .milliseconds(100))) % 10) s"
        case ..<60: "\(seconds) s"
        case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        default: "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
        }
    }
}
