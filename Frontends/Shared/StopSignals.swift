internal import Martlet
internal import MartletIO

/// Ctrl-C and the polite request to stop.
struct StopSignals {
    /// Takes both signals over, so that one that comes during the start is not lost.
    init() throws { try Signals.takeOver(Signals.stop) }

    /// Waits for one of them.
    func wait() async { await Signals.wait(for: Signals.stop) }
}
