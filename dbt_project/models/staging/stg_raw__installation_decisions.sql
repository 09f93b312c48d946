select
    decisions.installation_key,
    decisions.source,
    decisions.decided_at,
    -- An imported installation that the original had not decided about stays undecided.
    case when decisions.source <> 'legacy-undecided' then decisions.is_filtered end as is_filtered
from {{ source('raw', 'installation_decision') }} as decisions
