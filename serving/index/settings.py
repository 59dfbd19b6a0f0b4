"""What the index is made of: half-lives, weights, windows and thresholds, each with its consequence."""

from __future__ import annotations

from pydantic import BaseModel, Field

DAY = 86_400.0
"""Seconds."""


class IndexSettings(BaseModel):
    """Settings of the index, the service pain, the early signs and the ladder.

    Times are in days unless the name says otherwise; weights and shares lie between 0 and 1. A change
    makes every customer's index be computed anew at the next start.
    """

    half_life_days: float = Field(
        default=30.0,
        gt=0,
        description="After so many days an event counts half. Longer remembers longer.",
    )
    prior_messages: float = Field(
        default=20.0,
        gt=0,
        description="How many messages of an average customer a new one is taken to have written."
        " More make the index slower to leave the average when little is known.",
    )
    soft_threshold: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Probabilities of a label up to this add nothing to the index, so that noise does"
        " not sum up.",
    )
    threat_weight: float = Field(default=0.9, ge=0, le=1, description="Weight of a threat.")
    abuse_weight: float = Field(default=0.9, ge=0, le=1, description="Weight of abuse.")
    accusation_weight: float = Field(
        default=0.45,
        ge=0,
        le=1,
        description="Weight of an accusation. It is half as bad as abuse: it may be right.",
    )
    accusation_under_fault: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of an accusation's weight that is left while the company itself is at fault"
        " (an open message waits too long, a ticket was reopened or sent around).",
    )
    rate_scale: float = Field(
        default=0.33,
        gt=0,
        description="Rate of hostile language (weighted share of messages) that alone gives an index"
        " of 63. Smaller makes the index more sensitive.",
    )
    peak_half_life_days: float = Field(
        default=45.0, gt=0, description="After so many days the worst message counts half."
    )
    grave_peak: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="What one grave threat alone adds at once (0.65 gives an index of 65) when it is"
        " sure; less when it is doubtful.",
    )
    grave_half_life_days: float = Field(
        default=120.0,
        gt=0,
        description="After so many days a grave event counts half: it matters for `grave_days`.",
    )
    threat_peak: float = Field(
        default=0.18, ge=0, le=1, description="What one other threat adds as the worst message."
    )
    abuse_peak: float = Field(
        default=0.18, ge=0, le=1, description="What one insult adds as the worst message."
    )
    intensification_half_life_days: float = Field(
        default=7.0, gt=0, description="How long hostile messages count as close to each other."
    )
    intensification_weight: float = Field(
        default=0.25, ge=0, le=1, description="What hostile messages close together add at most."
    )
    rating_weight: float = Field(
        default=0.2, ge=0, le=1, description="What the team's rating of 5 adds at most."
    )
    rating_half_life_days: float = Field(
        default=90.0, gt=0, description="After so many days a team rating counts half."
    )

    volume_weight: float = Field(
        default=0.07,
        ge=0,
        le=0.07,
        description="What the sign `volume` adds. At most 0.07: a customer who writes much, and"
        " nothing hostile, stays below 10.",
    )
    repetition_weight: float = Field(
        default=0.26, ge=0, le=1, description="What the sign `repetition` adds."
    )
    hostile_language_weight: float = Field(
        default=0.22, ge=0, le=1, description="What the sign `hostile_language` adds."
    )
    informal_channel_weight: float = Field(
        default=0.26, ge=0, le=1, description="What the sign `informal_channel` adds."
    )
    scope_creep_weight: float = Field(
        default=0.26, ge=0, le=1, description="What the sign `scope_creep` adds."
    )
    unproductive_discussion_weight: float = Field(
        default=0.26, ge=0, le=1, description="What the sign `unproductive_discussion` adds."
    )
    sign_gap_days: float = Field(
        default=42.0,
        gt=0,
        description="A sign stands while its evidence keeps coming with gaps of at most so many days.",
    )
    volume_window_days: int = Field(
        default=28, ge=1, le=90, description="Window in which contacts are counted."
    )
    volume_deviations: float = Field(
        default=3.0,
        gt=0,
        description="Robust standard deviations above the portfolio's median (on a logarithmic scale)"
        " from which a volume is abnormal.",
    )
    volume_contacts: int = Field(
        default=14,
        ge=1,
        description="Contacts in the window below which no volume is abnormal.",
    )
    contact_minutes: float = Field(
        default=10.0,
        ge=0,
        description="Messages closer than this are one contact: many people write in short lines.",
    )
    repetition_count: int = Field(
        default=2,
        ge=1,
        description="How often a really solved complaint must come back for the sign `repetition`.",
    )
    relapse_days: float = Field(
        default=7.0,
        ge=0,
        description="A complaint on the same matter so soon after its resolution cancels it: it was"
        " not solved. That is service pain, not repetition.",
    )
    same_matter: float = Field(
        default=0.55,
        ge=-1,
        le=1,
        description="Cosine of sentence vectors from which two messages are about the same matter.",
    )
    hostile_count: int = Field(
        default=3,
        ge=1,
        description="Hostile messages that the sign `hostile_language` needs.",
    )
    hostile_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the customer's messages, recent ones counting most, that must be hostile.",
    )
    informal_count: int = Field(
        default=3, ge=1, description="Pushes to a private channel that make a sign."
    )
    scope_count: int = Field(
        default=3, ge=1, description="Requests outside the product that make a sign."
    )
    discussion_messages: int = Field(
        default=8,
        ge=1,
        description="Messages of the customer about one matter that make a discussion long.",
    )
    discussion_days: float = Field(
        default=14.0, ge=0, description="Days that a long discussion lasts at least."
    )

    instant_reply_hours: float = Field(
        default=8.0,
        gt=0,
        description="A reply on WhatsApp, chat, phone or a direct message is late after so many hours"
        " (a night is no pain).",
    )
    instant_reply_limit_hours: float = Field(
        default=72.0, gt=0, description="There, waiting so long is as bad as it gets."
    )
    slow_reply_hours: float = Field(
        default=24.0,
        gt=0,
        description="A reply on every other channel is late after so many hours.",
    )
    slow_reply_limit_hours: float = Field(
        default=120.0, gt=0, description="There, waiting so long is as bad as it gets."
    )
    fault_days: float = Field(
        default=7.0,
        ge=0,
        description="So long after a late reply, a reopening, a third desk or a false resolution what"
        " the customer does is taken as caused by it.",
    )
    fault_lateness: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Lateness of a reply, from 0 (in time) to 1 (as bad as it gets), from which the"
        " company is at fault.",
    )
    unanswered_weight: float = Field(
        default=0.6, ge=0, le=1, description="Pain of a message that nobody answered."
    )
    late_scale: float = Field(
        default=0.6, gt=0, description="Rate of late replies that alone gives a pain of 63."
    )
    unresolved_weight: float = Field(
        default=0.3, ge=0, le=1, description="Pain of a ticket that stays open."
    )
    unresolved_days: float = Field(
        default=3.0, gt=0, description="A ticket may stay open so long without pain."
    )
    unresolved_limit_days: float = Field(
        default=21.0, gt=0, description="Open so long, a ticket hurts as much as it can."
    )
    reopened_weight: float = Field(
        default=0.45, ge=0, le=1, description="Pain of reopened tickets at most."
    )
    handoff_weight: float = Field(
        default=0.5, ge=0, le=1, description="Pain of being sent from desk to desk at most."
    )
    relapse_weight: float = Field(
        default=0.4, ge=0, le=1, description="Pain of resolutions that solved nothing at most."
    )

    toxic_index: float = Field(
        default=38.0,
        gt=0,
        lt=100,
        description="Index from which a customer is draining (or inflamed, with pain).",
    )
    hurt_pain: float = Field(
        default=35.0,
        gt=0,
        lt=100,
        description="Service pain from which a customer is hurt (or inflamed, with toxicity).",
    )
    grave_days: float = Field(
        default=90.0,
        gt=0,
        description="A second threat within so many days is grave; so long after a grave event a"
        " separation may be prepared.",
    )
    grave_probability: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="An event is grave from this probability of a threat of kind physical or"
        " private_data, or of two threats, on. Up to 0.15 more or less it adds more or less.",
    )
    separation_signs: int = Field(
        default=3, ge=1, le=6, description="Signs that must stand together."
    )
    separation_days: float = Field(
        default=42.0, ge=0, description="How long they must have stood together."
    )
    step_days: float = Field(
        default=14.0,
        ge=0,
        description="A step on the ladder gets so many days to work before the next is suggested.",
    )
    portfolio_customers: int = Field(
        default=50,
        ge=1,
        description="Below so many customers shipped figures stand in for the portfolio's own.",
    )
