"""Reading the portfolio as a whole, and the customers who left."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from serving.access import allow
from serving.index.settings import DAY
from serving.routes.answers import leave_trace
from serving.routes.bodies import MOST_AMOUNT
from serving.routes.customers import QUERY_ERRORS, Language
from serving.scoring import balanced
from serving.services import Services, services_of
from serving.store import lost, portfolio
from serving.times import maybe_wire_time, wire_time

_ALARM: dict[Language, str] = {
    "en": "Separations are no longer rare. When this many customers have to go, the product or the"
    " business is at fault: look there first.",
    "ar": "لم تعد حالات إنهاء التعامل نادرة. عندما يضطر هذا العدد من العملاء إلى الرحيل فالخلل في المنتج أو في"
    " طريقة العمل: ابدأوا من هناك.",
}

router = APIRouter(
    tags=["portfolio"], dependencies=[Depends(allow("read"))], responses=QUERY_ERRORS
)


@router.get("/portfolio")
def get_portfolio(request: Request, lang: Language = "en") -> dict[str, Any]:
    """How the customers stand together: distribution, support time, the team, separations.

    A figure with nothing to compute it from is null. Months have 30 days. `support_as_of` is the time
    of the support time, the heavy customers and the drainage; `refreshed_at` that of the distribution.
    """
    services = services_of(request)
    now = services.clock()
    support = services.kept_support.get(lambda: _support(services, now))
    with services.database.read() as connection:
        separations = portfolio.separations(connection, now, services.settings.separation_alarm)
        return {
            "as_of": wire_time(now),
            "refreshed_at": maybe_wire_time(services.states.refreshed_at(connection)),
            "customers": portfolio.count_customers(connection, now),
            "distribution": portfolio.distribution(connection),
            **support,
            "team_turnover": portfolio.team_turnover(connection, now),
            "internal_toxicity": portfolio.internal_toxicity(connection, now),
            "separations": separations
            | {"message": _ALARM[lang] if separations["alarm"] else None},
        }


def _support(services: Services, now: float) -> dict[str, Any]:
    with services.database.read() as connection:
        work = portfolio.month_of_work(connection, now)
        return {
            "support_as_of": wire_time(now),
            **portfolio.support_time(connection, work, now),
            "drainage": portfolio.drainage(connection, work, now),
        }


@router.get("/lost")
def get_lost(
    request: Request,
    days: Annotated[int, Query(ge=1, le=3650)] = 365,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    campaign_cost: Annotated[float | None, Query(ge=0, le=MOST_AMOUNT, allow_inf_nan=False)] = None,
) -> dict[str, Any]:
    """Customers who left in the last days: grouped by how it stood at the end, and whom to win back.

    `limit` of them, the last to leave, are examined; `lost` and `won_back` count all. `offer_idea` is
    left to people. `campaign_cost` is what it cost to win back those who are back.
    """
    services = services_of(request)
    now = services.clock()
    leaving = balanced(services.thresholds, "leaving")
    with services.database.read() as connection:
        found = lost.departures(connection, now - days * DAY, now)
        endings = [
            lost.examine(connection, services.states, services.settings, departure, now, leaving)
            for departure in found[:limit]
        ]
    won_back = sum(departure.won_back for departure in found)
    answer = {
        "lost": len(found),
        "examined": len(endings),
        "groups": lost.group(endings),
        "won_back": won_back,
        "cost_per_customer_won_back": _each(campaign_cost, won_back),
        "win_back": [_candidate(ending) for ending in lost.worth_winning_back(endings)],
    }
    details = {"customers": [ending.departure.customer_id for ending in endings]}
    leave_trace(request, "read_lost", None, details)
    return answer


def _each(cost: float | None, customers: int) -> float | None:
    return None if cost is None or not customers else cost / customers


def _candidate(ending: lost.Ending) -> dict[str, Any]:
    departure, evidence = ending.departure, ending.evidence
    return {
        "customer_id": departure.customer_id,
        "name": departure.name,
        "left_at": wire_time(departure.left_at),
        "end_reason": departure.end_reason,
        "quadrant": ending.reading.quadrant,
        "index": ending.reading.index,
        "pain": ending.reading.pain,
        "cause_to_fix_first": ending.cause,
        "evidence": {
            "message_ids": list(evidence.message_ids),
            "said_they_leave": evidence.leaving,
            "negative": evidence.negative,
            "unanswered_messages": ending.unanswered,
        },
        "monthly_value": departure.monthly_value,
        "currency": departure.currency,
        "last_channel": evidence.channel,
        "offer_idea": None,
    }
