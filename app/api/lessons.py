"""Five short lessons, ready to start: each a set-up, two sentences and a question."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED
from app.schemas.responses import Data, Lesson, Setup

router = APIRouter(tags=["lessons"], responses=REFUSED)

LIMIT = 3 / 14  # 2/λ of gradient descent on the textbook's data, whose λ is 28/3
NOISY = Data(x=[1.0, 2.0, 3.0, 4.0], y=[2.6, 3.4, 6.6, 7.6])

LESSONS = [
    Lesson(
        name="sweep",
        title="Search or descend",
        text=(
            "A sweep works out the cost at 41 candidates and takes the best of them. Gradient descent looks at the "
            "slope where it stands and walks down, one evaluation a step."
        ),
        question=(
            "How many candidates would the sweep need to find w to three decimals, and how many if there were two "
            "weights to find?"
        ),
        setup=Setup(method="gd", params={"steps_per_second": 10}, vary={"method": ["sweep", "gd"]}),
    ),
    Lesson(
        name="three-rates",
        title="Three learning rates",
        text=(
            "Below 1/λ = 0.107 every step ends on the same side of the minimum, above it on the other. So 0.01 creeps, "
            "0.1 is there after a few steps, and 0.2 zigzags."
        ),
        question="Which learning rate needs one step only? Try it.",
        setup=Setup(method="gd", params={"epochs": 60, "steps_per_second": 5}, vary={"lr": [0.01, 0.1, 0.2]}),
    ),
    Lesson(
        name="limit",
        title="The limit",
        text=(
            "Each step multiplies the distance to the minimum by 1 − lr·λ: below lr = 2/λ = 0.214 it shrinks, above it "
            "grows. These three learning rates lie just below, on and just above that limit."
        ),
        question="What does the run in the middle do, and what would change if x were twice as large?",
        setup=Setup(method="gd", params={"epochs": 100, "steps_per_second": 10}, vary={"lr": [0.21, LIMIT, 0.22]}),
    ),
    Lesson(
        name="noise",
        title="The noise of single samples",
        text=(
            "No line through the origin fits this data exactly, so each sample pulls w to a place of its own. Batch "
            "descent comes to rest between them, single samples never do, and small batches lie between."
        ),
        question="How does the noise change if you make the learning rate ten times smaller, and what does that cost?",
        setup=Setup(
            method="sgd",
            params={"lr": 0.02, "epochs": 60, "steps_per_second": 20},
            data=NOISY,
            vary={"method": ["gd", "minibatch", "sgd"]},
        ),
    ),
    Lesson(
        name="graph",
        title="The graph of backpropagation",
        text=(
            "Every node of the graph shows its value, going forward, and the gradient of the loss, "
            "coming back. A multiplication hands back its gradient times the other factor, an addition hands it on "
            "unchanged."
        ),
        question="Which gradients in the graph are always equal, and which of them become 0 as the loss does?",
        setup=Setup(method="backprop", params={"lr": 0.02, "epochs": 100, "steps_per_second": 2}),
    ),
]


@router.get("/lessons")
async def list_lessons() -> list[Lesson]:
    """Short lessons, in the order in which they build on each other."""
    return LESSONS
