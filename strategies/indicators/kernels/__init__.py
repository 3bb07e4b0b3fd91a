"""Step kernels and the batch loops over them, compiled by numba.

An indicator is one *step kernel*: a bar's inputs and the state go in, the outputs come out, and the
state has moved on by a bar.  Streaming calls it once per bar.  The *batch loop* beside it calls the
same kernel for every row of a chunk and leaves the state where the chunk ended, so a column may be
fed in chunks of any size.  Hence streaming, batch and chunked batch agree bit for bit.

State is a one-dimensional float64 vector and holds everything, counters and parameters included:

    slot 0 ``SEEN``    bars taken in so far; stops growing where each kernel says
    slot 1 ``PERIOD``  the first parameter; a second one, where there is one, is slot 2
    then               the kernel's own slots, then its rings of ``PERIOD`` slots each

All other slots start at zero.  Kernels trust ``PERIOD`` and ``SEEN`` and check no bounds: whoever
writes a state from outside checks those two (`strategies.indicators.state` does).

Inputs and outputs are in the unit of their column (a price, say); RSI alone is 0 to 100.  Leading
outputs are NaN for as many bars as in TA-Lib.  A NaN that comes in stays in the averages that never
forget (EMA, RSI, ATR), and leaves a window together with its bar.

**Windows without drift.**  A sum that adds the newest value and subtracts the oldest gathers error
for as long as it runs.  Windows here are cut at *blocks* of ``PERIOD`` bars instead (van Herk 1992;
Gil and Werman 1993).  When a block completes, one backward pass replaces each of its values in the
ring by the aggregate of the block's tail from there on.  Until the next block completes, the window
is such a tail of the old block and the growing head of the new one:

    ring    [ head: raw values of the new block | tails of the old block ]
                                     position ^   ^ the tail that completes the window

Nothing is subtracted again, so the error of an outlier is gone once its bar has left the window.  A
bar costs two combinations whatever the period; one bar in ``PERIOD`` pays the backward pass.

Sums are taken of differences to an *anchor*, the last value of the old block, which lies within the
window for as long as it serves.  Rounding is then relative to the window's range rather than to the
price, and a constant series has exactly its constant as mean and exactly zero deviation.
"""
