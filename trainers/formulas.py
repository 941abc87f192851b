"""The formulas of the methods in MathML Core, built by small functions so that they are readable and well formed."""


def _i(name: str) -> str:
    return f"<mi>{name}</mi>"


def _o(operator: str) -> str:
    return f"<mo>{operator}</mo>"


def _n(number: int) -> str:
    return f"<mn>{number}</mn>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _sub(base: str, index: str) -> str:
    return f"<msub>{base}{index}</msub>"


def _squared(*parts: str) -> str:
    return f"<msup>{_row(*parts)}{_n(2)}</msup>"


def _fraction(top: str, bottom: str) -> str:
    return f"<mfrac>{top}{bottom}</mfrac>"


def _hat(base: str) -> str:
    return f'<mover accent="true">{base}{_o("^")}</mover>'


def _brackets(*parts: str) -> str:
    return _row('<mo stretchy="false">(</mo>', *parts, '<mo stretchy="false">)</mo>')


def _block(*parts: str) -> str:
    return f'<math display="block">{_row(*parts)}</math>'


_W, _X, _Y, _N = _i("w"), _i("x"), _i("y"), _i("N")
_XN, _YN = _sub(_X, _i("n")), _sub(_Y, _i("n"))
_GETS = _o("←")
_MINUS = _o("−")
_RATE = _i("η")
_THIN = '<mspace width="0.2em"></mspace>'
_GAP = '<mspace width="1.5em"></mspace>'
_SUM = f"<munderover>{_o('∑')}{_row(_i('n'), _o('='), _n(1))}{_N}</munderover>"
_SUM_OVER_BATCH = f"<munder>{_o('∑')}{_row(_i('n'), _o('∈'), _i('B'))}</munder>"
_RESIDUAL = _brackets(_XN, _W, _MINUS, _YN)
_STEP = _row(_W, _GETS, _W, _MINUS, _RATE)


def _partial(top: str, bottom: str) -> str:
    return _fraction(_row(_o("∂"), top), _row(_o("∂"), bottom))


SWEEP = _block(
    _hat(_W), _o("="), f"<munder>{_row(_i('arg'), _THIN, _i('min'))}{_W}</munder>", _THIN,
    _fraction(_n(1), _N), _SUM, _squared(_RESIDUAL),
)  # fmt: skip
GD = _block(_STEP, _fraction(_n(2), _N), _SUM, _XN, _RESIDUAL)
SGD = _block(_STEP, _o("·"), _n(2), _XN, _RESIDUAL)
MINIBATCH = _block(_STEP, _fraction(_n(2), _row(_o("|"), _i("B"), _o("|"))), _SUM_OVER_BATCH, _XN, _RESIDUAL)
AUTOGRAD = _block(
    _i("ℓ"), _o("="), _squared(_RESIDUAL), _o(","), _GAP, _STEP, _partial(_i("ℓ"), _W),
)  # fmt: skip
TORCH = _block(
    _hat(_Y), _o("="), _W, _X, _o("+"), _i("b"), _o(","), _GAP,
    _brackets(_W, _o(","), _i("b")), _GETS, _brackets(_W, _o(","), _i("b")), _MINUS, _RATE, _o("∇"),
    _SUM, _squared(_brackets(_sub(_hat(_Y), _i("n")), _MINUS, _YN)),
)  # fmt: skip

_W1, _W2 = _sub(_i("W"), _n(1)), _sub(_i("W"), _n(2))
_B1, _B2 = _sub(_i("b"), _n(1)), _sub(_i("b"), _n(2))
BACKPROP = _block(
    _hat(_Y), _o("="), _W2, _brackets(_W1, _X, _o("+"), _B1), _o("+"), _B2, _o(","), _GAP,
    _partial(_i("ℓ"), _W1), _o("="),
    _partial(_i("ℓ"), _hat(_Y)), _o("·"), _partial(_hat(_Y), _i("h")), _o("·"), _partial(_i("h"), _W1),
)  # fmt: skip
